// One photo through an artifact's probes: which is run for which output, so that no more is computed and kept than the
// page shows. The means come from the averaged probe where there is one, every tensor from the full probe. It is what the
// maps of `choice.js` come from.

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
import { readChannels, readComponents, readMap } from "../src/maps/map_reading.js";
import { brightnessOf } from "../src/maps/overview.js";
import { AUTO } from "../src/maps/reductions.js";
import { coloursOfPhoto } from "../src/maps/tile.js";
import { chosenPages } from "./choice.js";
import { classScores, topClass } from "./top_class.js";

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
    /** @type {import("../src/maps/likeness.js").Picture | null} how bright it is */
    this.brightness = null;
    /** @type {Map<string, Map<string, FeatureMap>>} the photo's maps by reduction, and by output */
    this.known = new Map();
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
    this.known.clear();
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
    await this.see(await createImageBitmap(new ImageData(width, height)));
    await this.maps([...this.artifact.manifest.outputs], "mean");
    this.input = null;
    this.known.clear();
  }

  /**
   * A photo's maps, and how it looks. Those by the means alone where that is faster: `pages` then returns the others.
   * @param {Blob | ImageBitmap} source a file, or a frame of the camera
   * @param {import("./choice.js").PageStyle} style
   */
  async photo(source, style) {
    const started = performance.now();
    const seen = await this.see(source);
    const prepared = performance.now();
    const isRough = style.isFirst && this.means !== null && this.hasChannels && style.reduce === AUTO;
    const pages = await chosenPages(this, isRough ? { ...style, reduce: "mean" } : style);
    return {
      pages,
      isRough,
      seen: { width: seen.cropped.shape[1], height: seen.cropped.shape[0], data: seen.cropped.data },
      photo: await shown(seen.photo),
      size: [seen.photo.width, seen.photo.height],
      region: seen.region,
      milliseconds: { photo: prepared - started, maps: performance.now() - prepared },
    };
  }

  /**
   * What the model sees of a photo, which it is given from now on.
   * @param {Blob | ImageBitmap} source
   */
  async see(source) {
    const { name, preprocessing } = imageInput(this.artifact.manifest);
    const seen = preprocess(await decodePhoto(source), preprocessing);
    this.input = new Map([[name, seen.input]]);
    const { shape, data } = seen.cropped;
    this.brightness = brightnessOf({ width: shape[1], height: shape[0], data: /** @type {Uint8Array} */ (data) });
    this.known.clear();
    return seen;
  }

  /** Whether there are tensors, and not their means alone. */
  get hasChannels() {
    return !this.artifact.isAveraged;
  }

  /**
   * The map of each output of the last photo, computed once.
   * @param {any[]} outputs of the manifest
   * @param {string} reduce a row of `REDUCTIONS`, or auto
   * @returns {Promise<FeatureMap[]>}
   */
  async maps(outputs, reduce) {
    const known = this.known.get(reduce) ?? new Map();
    this.known.set(reduce, known);
    const missing = outputs.filter((output) => !known.has(output.name));
    for (const map of await this.computed(missing, reduce)) known.set(map.name, map);
    return outputs.map((output) => known.get(output.name));
  }

  /**
   * @param {any[]} outputs
   * @param {string} reduce
   */
  async computed(outputs, reduce) {
    if (!this.means || (reduce !== AUTO && reduce !== "mean")) return this.mapsOf("full", outputs, reduce);
    if (reduce !== AUTO) {
      const ofMeans = new Map(this.means.manifest.outputs.map((output) => [output.name, output]));
      return this.mapsOf(
        "means",
        outputs.map((output) => ofMeans.get(output.name) ?? output),
        "mean",
      );
    }
    const maps = await this.maps(outputs, "mean");
    if (!this.hasChannels) return maps;
    // What the means don't show, the full probe may.
    const unseen = new Set(
      maps.filter((map) => map.leftOut === "constant" || map.leftOut === "rounding").map((map) => map.name),
    );
    const again = outputs.filter((output) => unseen.has(output.name));
    const found = new Map((await this.mapsOf("full", again, reduce)).map((map) => [map.name, map]));
    return maps.map((map) => found.get(map.name) ?? map);
  }

  /**
   * So many principal components of each output, of which its map is the first.
   * @param {[any, FeatureMap][]} of
   * @param {number} count
   */
  async components(of, count) {
    const names = of.map(([output]) => output.name);
    const tensors = await this.run("full", names);
    return of.map(([output, map]) => readComponents(tensors.get(output.name), output, map, count));
  }

  /**
   * Each channel of an output, of which the map is the mean.
   * @param {any} output
   * @param {FeatureMap} map
   */
  async channels(output, map) {
    return readChannels((await this.run("full", [output.name])).get(output.name), output, map);
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

  /** What a trained classifier says of the last photo; empty of any other model. */
  async topClass() {
    const output = classScores(this.artifact.manifest);
    if (!output) return "";
    const kind = this.means?.manifest.outputs.some((each) => each.name === output.name) ? "means" : "full";
    const tensor = (await this.run(kind, [output.name])).get(output.name);
    return tensor ? topClass(output, tensor) : "";
  }

  /**
   * Every channel of an output of the last photo, C H W, and how they are shown.
   * @param {string} name
   * @param {import("../src/maps/colour_scales.js").GridStyle} style
   */
  async everyChannel(name, style) {
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
 * @param {import("../src/maps/tile.js").Seen} picture
 * @returns {Promise<ImageBitmap>}
 */
function shown(picture) {
  const { data, ...size } = coloursOfPhoto(picture);
  const scale = Math.min(1, LARGEST_SHOWN / Math.max(picture.width, picture.height));
  const [resizeWidth, resizeHeight] = [picture.width, picture.height].map((size) =>
    Math.max(1, Math.round(size * scale)),
  );
  return createImageBitmap(new ImageData(data, size.width, size.height), { resizeWidth, resizeHeight, resizeQuality: "high" });
}
