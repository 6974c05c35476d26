// An artifact: its manifest, and its files, each checked against its hash before it is used. Running it is in session.js.

import { ArtifactError, firstLine } from "./errors.js";
import { LARGEST_DOCUMENT_BYTES } from "./json.js";
import { parseManifest } from "./manifest.js";
import { onnxMetadata, weightFiles } from "./onnx_file.js";
import { oneLine } from "./plain_text.js";
import { atUrl, ofFiles } from "./places.js";

/** @typedef {import("./manifest.js").Manifest} Manifest */
/** @typedef {import("./places.js").Place} Place */

export const MANIFEST_FILE = "manifest.json";
export const ONNX_FILE = "model.onnx";
export const REFERENCE_FILE = "reference.safetensors";
const AVERAGED_MANIFEST_FILE = "averaged.json";
/** The averaged probe's file names, by the full probe's. @type {Readonly<Record<string, string>>} */
const AVERAGED_FILES = Object.freeze({ [ONNX_FILE]: "averaged.onnx", [REFERENCE_FILE]: "averaged.safetensors" });
/** Key of the manifest (less its hashes) in the ONNX file's `metadata_props`. */
const METADATA_KEY = "layerprobe.manifest";

/**
 * @typedef {object} OnnxModel
 * @property {string} file its name
 * @property {Uint8Array} content
 * @property {Map<string, Uint8Array>} weights by file name, those that are not in it
 */

/** What `layerprobe export` wrote: `manifest` describes it, `bytes` returns one of its files. */
export class Artifact {
  /**
   * @param {Place} place
   * @param {Manifest} manifest
   */
  constructor(place, manifest) {
    /** @readonly */
    this.place = place;
    /** @readonly */
    this.manifest = manifest;
  }

  /** Whether the outputs are maps (N 1 H W) instead of the tensors themselves. */
  get isAveraged() {
    return !this.lists(ONNX_FILE) && this.lists(AVERAGED_FILES[ONNX_FILE]);
  }

  /**
   * @param {string} file
   * @returns {boolean} whether the manifest lists it
   */
  lists(file) {
    return Object.hasOwn(this.manifest.files, file);
  }

  /**
   * @param {string} file of an averaged probe, by the full probe's name or its own
   * @returns {Promise<Uint8Array>} its content, after checking that it is what was exported
   * @throws {ArtifactError} it isn't listed, is missing, or was altered
   */
  async bytes(file) {
    const listed = !this.lists(file) && this.lists(AVERAGED_FILES[file] ?? "") ? AVERAGED_FILES[file] : file;
    if (!this.lists(listed)) {
      throw new ArtifactError(
        `${this.place.name} has no ${listed}. It has: ${Object.keys(this.manifest.files).sort().join(", ")}.`,
      );
    }
    const content = await this.place.read(listed, Infinity);
    if (content === undefined) {
      throw new ArtifactError(
        `${this.place.name}: ${listed} is missing.\nCopy the whole folder again, or export it again.`,
      );
    }
    if ((await sha256(content)) !== this.manifest.files[listed]) {
      throw new ArtifactError(
        `${this.place.name}: ${listed} was altered after the export: its SHA-256 differs from the manifest's.\n` +
          "Copy the folder again, or export it again.",
      );
    }
    return content;
  }

  /**
   * @returns {Promise<OnnxModel>} the model, after checking it, its weights, and the manifest beside it against the copy
   *   inside
   * @throws {ArtifactError} a file is missing or altered, weights are in a file that isn't listed, or the manifest is
   *   another than the copy
   */
  async onnx() {
    const file = this.isAveraged ? AVERAGED_FILES[ONNX_FILE] : ONNX_FILE;
    const content = await this.bytes(file);
    /** @type {Map<string, Uint8Array>} */
    const weights = new Map();
    try {
      refuseOtherCopy(this.manifest, onnxMetadata(content, METADATA_KEY), this.place.name, file);
      for (const beside of weightFiles(content)) {
        if (!this.lists(beside)) {
          throw new ArtifactError(
            `${this.place.name}: ${file} has weights in '${oneLine(beside, 100)}', which the manifest doesn't list.\n` +
              "Export the artifact again.",
          );
        }
        weights.set(beside, await this.bytes(beside));
      }
    } catch (error) {
      if (error instanceof ArtifactError) throw error;
      throw new ArtifactError(
        `${this.place.name}: ${file} can't be loaded as an ONNX model: ${oneLine(firstLine(error))}.`,
      );
    }
    return { file, content, weights };
  }

  /**
   * @returns {Promise<Artifact | null>} the averaged probe: this artifact itself, or the one beside the full probe; null
   *   if there is none
   */
  async averaged() {
    if (this.isAveraged) return this;
    if (!this.lists(AVERAGED_MANIFEST_FILE)) return null;
    const text = await this.bytes(AVERAGED_MANIFEST_FILE);
    return new Artifact(this.place, parseManifest(text, `${this.place.name}: ${AVERAGED_MANIFEST_FILE}`));
  }
}

/**
 * @param {Place | string | URL | Iterable<File> | ReadonlyMap<string, Blob | Uint8Array>} place `folder(PATH)` of
 *   "layerprobe/node_folder", the address of the folder, or its files
 * @returns {Promise<Artifact>}
 * @throws {ArtifactError} there is none, its manifest can't be read, or it has a later format version
 */
export async function openArtifact(place) {
  const found = asPlace(place);
  const text = await found.read(MANIFEST_FILE, LARGEST_DOCUMENT_BYTES);
  if (text === undefined) {
    throw new ArtifactError(
      `${found.name} has no ${MANIFEST_FILE}: it is not an artifact.\n\`layerprobe export MODEL -o FOLDER\` makes one.`,
    );
  }
  return new Artifact(found, parseManifest(text, `${found.name}: ${MANIFEST_FILE}`));
}

/**
 * @param {Parameters<typeof openArtifact>[0]} place
 * @returns {Place}
 */
function asPlace(place) {
  if (typeof place === "string" || place instanceof URL) return atUrl(place);
  return "read" in place ? place : ofFiles(place);
}

/**
 * @param {Uint8Array} content
 * @returns {Promise<string>} 64 hexadecimal digits
 * @throws {ArtifactError} the page isn't in a secure context, where browsers have no hashes
 */
export async function sha256(content) {
  const subtle = globalThis.crypto?.subtle;
  if (!subtle) {
    throw new ArtifactError(
      "This browser computes hashes on secure pages only.\nOpen the page by https, or from localhost.",
    );
  }
  const digest = await subtle.digest("SHA-256", /** @type {Uint8Array<ArrayBuffer>} */ (content));
  return Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * No hash protects the manifest itself. Tools that process an ONNX file may remove its metadata.
 *
 * @param {Manifest} manifest
 * @param {Uint8Array | undefined} copy inside the model file
 * @param {string} where
 * @param {string} file
 * @throws {ArtifactError} they differ; the message names the first field
 */
function refuseOtherCopy(manifest, copy, where, file) {
  if (copy === undefined) return;
  const [beside, inside] = [manifest, parseManifest(copy, `${where}: ${file}`)].map((each) => ({
    ...each,
    files: null,
  }));
  const found = firstDifference(beside, inside, "");
  if (found === null) return;
  const { path, one, other } = found;
  throw new ArtifactError(
    `${where}: the manifest was altered: its ${oneLine(path, 100)} is ${short(one)}, but ${short(other)} in the copy inside ${file}.\n` +
      "Copy the folder again, or export it again.",
  );
}

/**
 * @param {any} one checked JSON
 * @param {any} other
 * @param {string} path
 * @returns {{path: string, one: unknown, other: unknown} | null} the first field that differs: `preprocessing.mean.0`
 */
function firstDifference(one, other, path) {
  if (one === other) return null;
  const both = [one, other].every((each) => typeof each === "object" && each !== null);
  const names = both ? Object.keys(one) : [];
  if (!both || Array.isArray(one) !== Array.isArray(other) || names.length !== Object.keys(other).length) {
    return { path, one, other };
  }
  for (const name of names) {
    if (!Object.hasOwn(other, name)) return { path, one, other };
    const found = firstDifference(one[name], other[name], path ? `${path}.${name}` : name);
    if (found) return found;
  }
  return null;
}

/**
 * @param {unknown} value
 * @returns {string}
 */
function short(value) {
  return oneLine(JSON.stringify(value), 60);
}
