// One photo through an artifact's probes: which is run for which output, so that no more is computed and kept than the
// page shows. The means come from the averaged probe where there is one, every tensor from the full probe.

import {
  OnnxRunner,
  imageInput,
  openArtifact,
  openRunner,
  preprocess,
  sizeOf,
  writeSafetensors,
} from "../src/index.js";
import { decodePhoto } from "../src/browser_photo.js";
import { channelGrid } from "../src/maps/channel_grid.js";
import { channelsOf, hasMap } from "../src/maps/channels.js";
import { readMap } from "../src/maps/feature_maps.js";
import { AUTO } from "../src/maps/reductions.js";
import { pixelsOfPhoto } from "./painting.js";

/** @typedef {import("../src/index.js").Artifact} Artifact */
/** @typedef {import("../src/index.js").Tensors} Tensors */
/** @typedef {import("../src/maps/feature_maps.js").FeatureMap} FeatureMap */

/** What ONNX Runtime's WebAssembly may return of one run: of a larger model, the outputs come in several. */
const AT_ONCE_BYTES = 2 ** 28;
const MOST_THREADS = 4;
const LARGEST_SHOWN = 1024;
/** Errors only: what ONNX Runtime would say else fills a visitor's console. */
const QUIET = "error";

export class ModelRun {
  /**
   * @param {URL} site
   * @param {any} facts of site.json
   * @param {Artifact} artifact
   * @param {Artifact | null} means
   */
  constructor(site, facts, artifact, means) {
    this.site = site;
    this.facts = facts;
    this.artifact = artifact;
    this.means = means;
    /** By output of the averaged probe, how far it may be off by rounding. @type {Map<string, number>} */
    this.noise = new Map(Object.entries(facts.noise));
    this.backend = "wasm";
    /** @type {Map<string, Promise<OnnxRunner>>} by what it computes: full, means */
    this.runners = new Map();
    /** @type {Tensors | null} the photo as the model is given it */
    this.input = null;
  }

  /**
   * @param {URL} site the folder
   * @returns {Promise<ModelRun>}
   */
  static async open(site) {
    const response = await fetch(new URL("site.json", site));
    if (!response.ok) throw new Error(`site.json can't be loaded: the server answered ${response.status}`);
    const artifact = await openArtifact(new URL("artifact/", site));
    const means = await artifact.averaged();
    return new ModelRun(site, await response.json(), artifact, means);
  }

  /** What the page has to know of it. */
  described() {
    const { manifest } = this.artifact;
    return {
      title: this.facts.title,
      outputs: manifest.outputs,
      crop: imageInput(manifest).preprocessing.crop,
      hasTensors: !this.artifact.isAveraged,
      hasMeans: this.means !== null,
      hasTruths: this.facts.truths && !this.artifact.isAveraged,
      testPhoto: this.artifact.lists("test_photo.png") ? new URL("artifact/test_photo.png", this.site).href : null,
      runtime: this.facts.runtime,
      backends: this.facts.backends,
      madeBy: this.facts.layerprobe,
    };
  }

  /**
   * Compute with another backend from now on.
   * @param {string} backend
   */
  async use(backend) {
    if (backend !== this.backend) await this.close();
    this.backend = backend;
    await this.runner(this.means ? "means" : "full");
  }

  async close() {
    const open = [...this.runners.values()];
    this.runners.clear();
    for (const each of open) await each.then((runner) => runner.release()).catch(() => undefined);
  }

  /**
   * ONNX Runtime for a backend, single-threaded unless the page is isolated, which a static server rarely sees to.
   * @param {string} backend
   */
  async runtime(backend) {
    const ort = await import(new URL(`runtime/ort.${backend}.min.mjs`, this.site).href);
    ort.env.logLevel = QUIET;
    ort.env.wasm.numThreads = globalThis.crossOriginIsolated
      ? Math.min(navigator.hardwareConcurrency, MOST_THREADS)
      : 1;
    ort.env.wasm.wasmPaths = new URL("runtime/", this.site).href;
    return ort;
  }

  /**
   * @param {"full" | "means"} kind
   * @returns {Promise<OnnxRunner>}
   */
  runner(kind) {
    let found = this.runners.get(kind);
    if (!found) {
      const probe = kind === "means" && this.means ? this.means : this.artifact;
      const session = { executionProviders: [this.backend] };
      found = this.runtime(this.backend).then((ort) => openRunner(probe, ort, { session }));
      this.runners.set(kind, found);
      found.catch(() => this.runners.delete(kind));
    }
    return found;
  }

  /** Compute once, so that the first photo doesn't wait for what a browser compiles while it runs. */
  async warm() {
    const [height, width] = imageInput(this.artifact.manifest).preprocessing.crop;
    await this.mapsOfPhoto(await createImageBitmap(new ImageData(width, height)), "mean");
    this.input = null;
  }

  /**
   * @param {Blob | ImageBitmap} source a file, or a frame of the camera
   * @param {string} reduce a row of `REDUCTIONS`, or auto
   */
  async mapsOfPhoto(source, reduce) {
    const started = performance.now();
    const { name, preprocessing } = imageInput(this.artifact.manifest);
    const seen = preprocess(await decodePhoto(source), preprocessing);
    this.input = new Map([[name, seen.input]]);
    const prepared = performance.now();
    const found = await this.maps(reduce);
    return {
      ...found,
      seen: { width: seen.cropped.shape[1], height: seen.cropped.shape[0], data: seen.cropped.data },
      photo: await shown(seen.photo),
      size: [seen.photo.width, seen.photo.height],
      region: seen.region,
      milliseconds: { photo: prepared - started, maps: performance.now() - prepared },
    };
  }

  /**
   * The map of each output of the last photo.
   * @param {string} reduce
   * @returns {Promise<{ maps: FeatureMap[] }>}
   */
  async maps(reduce) {
    const { outputs } = this.artifact.manifest;
    if (!this.means || (reduce !== AUTO && reduce !== "mean"))
      return { maps: await this.mapsOf("full", outputs, reduce) };
    const ofMeans = new Map(this.means.manifest.outputs.map((output) => [output.name, output]));
    const averaged = outputs.map((output) => ofMeans.get(output.name) ?? output);
    const maps = await this.mapsOf("means", averaged, "mean");
    if (reduce !== AUTO || this.artifact.isAveraged) return { maps };
    // What the means don't show, the full probe may.
    const unseen = new Set(
      maps.filter((map) => map.leftOut === "constant" || map.leftOut === "rounding").map((map) => map.name),
    );
    const again = outputs.filter((output) => unseen.has(output.name));
    const found = new Map((await this.mapsOf("full", again, reduce)).map((map) => [map.name, map]));
    return { maps: maps.map((map) => found.get(map.name) ?? map) };
  }

  /**
   * @param {"full" | "means"} kind
   * @param {readonly any[]} outputs
   * @param {string} reduce
   */
  async mapsOf(kind, outputs, reduce) {
    /** @type {FeatureMap[]} */
    const maps = [];
    for (const part of parts(outputs)) {
      const names = part.filter(hasMap).map((output) => output.name);
      const tensors = names.length ? await this.run(kind, names) : new Map();
      for (const output of part)
        maps.push(readMap(tensors.get(output.name), output, reduce, this.noise.get(output.name)));
    }
    return maps;
  }

  /**
   * Every channel of an output of the last photo, C H W, and how they are shown.
   * @param {string} name
   * @param {import("../src/maps/colour_scales.js").GridStyle} style
   */
  async channels(name, style) {
    const output = /** @type {any} */ (this.artifact.manifest.outputs.find((each) => each.name === name));
    const tensors = await this.run("full", [name]);
    const found = channelsOf(/** @type {any} */ (tensors.get(name)), output);
    return { ...found, data: found.data.slice(), grid: channelGrid(found, style) };
  }

  /**
   * Tensors of the last photo, and what the model was given, as a safetensors file that `verify` and `run` read.
   * @param {string[]} names
   */
  async tensorFile(names) {
    const tensors = new Map(await this.run("full", names));
    for (const [name, input] of this.input ?? []) tensors.set(`input:${name}`, input);
    const { model } = this.artifact.manifest;
    return writeSafetensors(tensors, { "layerprobe.model": model, runtime: `${this.facts.runtime}, ${this.backend}` });
  }

  /**
   * @param {"full" | "means"} kind
   * @param {string[]} names
   */
  async run(kind, names) {
    if (!this.input) throw new Error("there is no photo yet");
    const runner = await this.runner(kind);
    const wanted = new Set(names);
    const some = runner.outputs.filter((name) => wanted.has(name));
    return new OnnxRunner(runner.ort, runner.session, runner.manifest, some).run(this.input);
  }
}

/**
 * The outputs in parts that fit into memory at once.
 * @param {readonly any[]} outputs
 * @returns {any[][]}
 */
function parts(outputs) {
  /** @type {any[][]} */
  const found = outputs.length ? [[]] : [];
  let taken = 0;
  for (const output of outputs) {
    const need =
      4 * sizeOf(output.shape.map((/** @type {number | string} */ size) => (typeof size === "number" ? size : 1)));
    if (found[found.length - 1].length && taken + need > AT_ONCE_BYTES) {
      found.push([]);
      taken = 0;
    }
    found[found.length - 1].push(output);
    taken += need;
  }
  return found;
}

/**
 * The whole photo, small enough to be shown.
 * @param {import("./painting.js").Seen} picture
 * @returns {Promise<ImageBitmap>}
 */
function shown(picture) {
  const scale = Math.min(1, LARGEST_SHOWN / Math.max(picture.width, picture.height));
  const [resizeWidth, resizeHeight] = [picture.width, picture.height].map((size) =>
    Math.max(1, Math.round(size * scale)),
  );
  return createImageBitmap(pixelsOfPhoto(picture), { resizeWidth, resizeHeight, resizeQuality: "high" });
}
