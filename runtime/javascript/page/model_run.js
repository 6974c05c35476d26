// One photo through an artifact's probes: which is run for which output, so that no more is computed and kept than the
// page shows. The means come from the averaged probe where there is one, every tensor from the full probe. It is what the
// maps of `choice.js` come from.

import { imageInput, preprocess, sizeOf } from "../src/index.js";
import { decodePhoto } from "../src/browser_photo.js";
import { channelGrid } from "../src/maps/channel_grid.js";
import { channelsOf, hasMap } from "../src/maps/channels.js";
import { readMap, readParts } from "../src/maps/map_reading.js";
import { AUTO } from "../src/maps/reductions.js";
import { coloursOfPhoto } from "../src/maps/picture.js";
import { CameraTiles } from "./camera_tiles.js";
import { chosenPages } from "./choice.js";
import { classScores, topClass } from "./top_class.js";

/** @typedef {import("../src/index.js").Tensors} Tensors */
/** @typedef {import("../src/maps/feature_maps.js").FeatureMap} FeatureMap */

/** What ONNX Runtime's WebAssembly may return of one run: of a larger model, the outputs come in several. */
const AT_ONCE_BYTES = 2 ** 28;
const LARGEST_SHOWN = 1024;

export class ModelRun {
  /** @param {import("./site_model.js").SiteModel} model */
  constructor(model) {
    this.model = model;
    this.artifact = model.artifact;
    /** @type {Tensors | null} the photo as the model is given it */
    this.input = null;
    /** @type {import("../src/maps/overview.js").Pixels | null} the photo as the model sees it */
    this.seen = null;
    /** @type {Map<string, Map<string, FeatureMap>>} the photo's maps by reduction, and by output */
    this.known = new Map();
    this.camera = new CameraTiles();
  }

  /**
   * Compute with another backend from now on.
   * @param {string} backend
   */
  async use(backend) {
    await this.model.use(backend);
    this.known.clear();
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
    const before = { input: this.input, seen: this.seen, known: this.known };
    try {
      return await this.drawn(source, style);
    } catch (error) {
      Object.assign(this, before); // which is what the page goes on showing
      throw error;
    }
  }

  /**
   * @param {Blob | ImageBitmap} source
   * @param {import("./choice.js").PageStyle} style
   */
  async drawn(source, style) {
    const started = performance.now();
    const seen = await this.see(source);
    const prepared = performance.now();
    const isRough = style.isFirst && this.model.means !== null && this.hasChannels && style.reduce === AUTO;
    const pages = await this.pages(isRough ? { ...style, reduce: "mean" } : style);
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
   * The last photo's maps, in memory of their own.
   * @param {import("./choice.js").PageStyle} style
   */
  pages(style) {
    return style.isLive ? this.camera.pages(this, style) : chosenPages(this, style);
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
    this.seen = { width: shape[1], height: shape[0], data: /** @type {Uint8Array} */ (data) };
    this.known = new Map();
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
    if (!this.model.means || (reduce !== AUTO && reduce !== "mean")) return this.mapsOf("full", outputs, reduce);
    if (reduce !== AUTO) {
      const ofMeans = new Map(this.model.means.manifest.outputs.map((output) => [output.name, output]));
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
   * The maps of each output of which its map is one, as of `readParts`.
   * @param {any[]} outputs
   * @param {FeatureMap[]} maps
   */
  async parts(outputs, maps) {
    const names = outputs.map(({ name }) => name);
    const tensors = await this.run("full", names);
    return outputs.map((output, index) => readParts(tensors.get(output.name), output, maps[index]));
  }

  /**
   * @param {import("./site_model.js").Kind} kind
   * @param {readonly any[]} outputs
   * @param {string} reduce
   */
  async mapsOf(kind, outputs, reduce) {
    /** @type {FeatureMap[]} */
    const maps = [];
    for (const part of partsOf(outputs)) {
      const names = part.filter(hasMap).map((output) => output.name);
      const tensors = names.length ? await this.run(kind, names) : new Map();
      for (const output of part)
        maps.push(readMap(tensors.get(output.name), output, reduce, this.model.noise.get(output.name)));
    }
    return maps;
  }

  /** What a trained classifier says of the last photo; empty of any other model. */
  async topClass() {
    const output = classScores(this.artifact.manifest);
    if (!output) return "";
    const kind = this.model.means?.manifest.outputs.some((each) => each.name === output.name) ? "means" : "full";
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
   * @param {import("./site_model.js").Kind} kind
   * @param {string[]} names
   */
  async run(kind, names) {
    if (!this.input) throw new Error("there is no photo yet");
    return this.model.run(kind, this.input, names);
  }
}

/**
 * The outputs in parts that fit into memory at once.
 * @param {readonly any[]} outputs
 * @returns {any[][]}
 */
export function partsOf(outputs) {
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
 * @param {import("../src/maps/picture.js").Seen} picture
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
