// Which maps are shown while the camera runs: chosen once, by its first picture that shows something, or when the visitor
// asks. Chosen anew of each picture they would jump.

import { correlation, turned } from "../src/maps/likeness.js";
import { chosenPages, copiesOf } from "./choice.js";

/** @typedef {import("../src/maps/feature_maps.js").FeatureMap} FeatureMap */
/** @typedef {import("../src/maps/map_page.js").MapPages} MapPages */
/** @typedef {import("./choice.js").PageStyle} PageStyle */
/** @typedef {import("./model_run.js").ModelRun} ModelRun */

/** How far the brightness of a picture must vary for maps to be chosen by it: its standard deviation, of 255. */
const LEAST_CONTRAST = 8;

export class CameraTiles {
  constructor() {
    /** @type {{ by: string, pages: MapPages } | null} */
    this.kept = null;
  }

  /** Choose again by the next picture. */
  forget() {
    this.kept = null;
  }

  /**
   * The maps of the last picture that the run was given.
   * @param {ModelRun} run
   * @param {PageStyle} style
   * @returns {Promise<MapPages>}
   */
  async pages(run, style) {
    const by = JSON.stringify([style.depth, style.filter, style.reduce, style.shared, style.aliases]);
    const isKept = this.kept !== null && this.kept.by === by;
    const pages = isKept && this.kept ? await ofSameTiles(run, this.kept.pages, style) : await chosenPages(run, style);
    if (isKept || (pages.maps.length && hasContrast(run))) {
      // The page is handed the values: what is kept here is a copy.
      this.kept = { by, pages: { ...pages, maps: copiesOf(pages.maps) } };
    }
    return pages;
  }
}

/**
 * The same tiles of another picture, under the same words, but for what was said of the first picture alone.
 * @param {ModelRun} run
 * @param {MapPages} before
 * @param {PageStyle} style
 * @returns {Promise<MapPages>}
 */
async function ofSameTiles(run, before, style) {
  const outputs = new Map(run.artifact.manifest.outputs.map((/** @type {any} */ each) => [each.name, each]));
  const firsts = await firstMaps(run, before.maps, outputs);
  const parted = [...new Set(before.maps.filter(({ part }) => part).map(({ name }) => name))];
  const parts = parted.length
    ? await run.parts(
        parted.map((name) => outputs.get(name)),
        parted.map((name) => /** @type {FeatureMap} */ (firsts.get(name))),
      )
    : [];
  const partOf = (/** @type {FeatureMap} */ { name, part }) =>
    parts[parted.indexOf(name)].find((each) => each.part === part);
  const maps = before.maps.map((map) => asBefore(map, map.part ? partOf(map) : firsts.get(map.name)));
  return { ...before, maps, style, lead: before.brief ? await run.topClass() : "" };
}

/**
 * The first map of each output, reduced as it was.
 * @param {ModelRun} run
 * @param {FeatureMap[]} before
 * @param {Map<string, any>} outputs
 */
async function firstMaps(run, before, outputs) {
  const reductions = new Map(before.map(({ name, reduction }) => [name, reduction]));
  /** @type {Map<string, FeatureMap>} */
  const found = new Map();
  for (const reduction of new Set(reductions.values())) {
    const names = [...reductions.keys()].filter((name) => reductions.get(name) === reduction);
    const maps = await run.maps(
      names.map((name) => outputs.get(name)),
      reduction,
    );
    for (const map of maps) found.set(map.name, map);
  }
  return found;
}

/**
 * A map in the place of another: what is said of that stays, and a component isn't turned over, nor are its hues.
 * @param {FeatureMap} before
 * @param {FeatureMap} [found] none of a channel that this picture leaves constant
 * @returns {FeatureMap}
 */
function asBefore(before, found) {
  if (!found) return { ...before, share: null, hues: null, values: new Float64Array(before.values.length) };
  const { values, share, height, width } = found;
  const isTurned = share !== null && correlation(before, found) < 0;
  const [mine, theirs] = [found.hues, before.hues].map((each) => each && { ...each, height, width });
  const hues = mine && theirs ? { ...mine, plane: turned(mine, theirs) } : found.hues;
  return { ...before, share, hues, values: values.map((value) => (isTurned ? -value : value)) };
}

/** @param {ModelRun} run */
function hasContrast({ seen }) {
  const { data } = /** @type {import("../src/maps/overview.js").Pixels} */ (seen);
  let [sum, squares] = [0, 0];
  for (let at = 0; at < data.length; at++) {
    sum += data[at];
    squares += data[at] ** 2;
  }
  return squares / data.length - (sum / data.length) ** 2 >= LEAST_CONTRAST ** 2;
}
