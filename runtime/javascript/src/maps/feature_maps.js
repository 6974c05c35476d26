// Tensors by output to the maps that a grid shows, and what is left out because it would show nothing new: the rules of
// `runtime/maps/feature_maps.py` and `feature_grid.py`.

import { UsageError } from "../errors.js";
import { channelsOf, hasMap } from "./channels.js";
import { valueRange } from "./colour_maps.js";
import { general, withMinus } from "../number_words.js";
import { AUTO, AUTO_ORDER, REDUCTIONS } from "./reductions.js";

/** @typedef {import("../tensor.js").Tensor} Tensor */
/** @typedef {import("./channels.js").Channels} Channels */
/** @typedef {"repeat" | "weak" | "rounding" | "constant" | "point" | "flat"} LeftOut */
/**
 * @typedef {object} FeatureMap what one tile shows
 * @property {string} name
 * @property {string} detail `Conv2d · 64 × 56 × 56`
 * @property {string} path the module it ran in
 * @property {number} height
 * @property {number} width
 * @property {Float64Array} values H W
 * @property {string} reduction a row of `REDUCTIONS`
 * @property {LeftOut | null} leftOut why it shows nothing, if it does
 * @property {boolean} weak whether it hardly varies beside the others, and is drawn fainter
 */

/** Machine epsilons of the magnitude, up to which a map's range counts as rounding. */
const ROUNDING = 8;
/** Of a map's range: two maps that nowhere differ by more look the same. */
const ALIKE = 0.02;
/** Of what the strongest map varies by: what varies less is mostly chance. */
const WEAK = 1e-4;

/** Why an output is not drawn, of one and of several, in the order of the sentences. @type {Record<LeftOut, [string, string]>} */
export const LEFT_OUT = {
  repeat: ["output that looks like another is left out", "outputs that look like another are left out"],
  weak: [
    "output varies by less than a ten-thousandth of the strongest and is left out",
    "outputs vary by less than a ten-thousandth of the strongest and are left out",
  ],
  rounding: [
    "output whose map varies only by rounding is left out",
    "outputs whose maps vary only by rounding are left out",
  ],
  constant: ["output that is constant over the image is left out", "outputs constant over the image are left out"],
  point: ["output of 1 × 1 pixel is left out", "outputs of 1 × 1 pixel are left out"],
  flat: ["output without height and width is left out", "outputs without height and width are left out"],
};

/**
 * The map of one output, which may show nothing.
 * @param {Tensor | undefined} tensor the output's; needed where it has a height and a width
 * @param {any} output of a manifest
 * @param {string} [reduce] a row of `REDUCTIONS`, or auto
 * @param {number} [noise] of an output that is a mean already, how far it may be off by rounding
 * @returns {FeatureMap}
 * @throws {UsageError} the tensor is missing or contradicts the output, or a mean can't be reduced as requested
 */
export function readMap(tensor, output, reduce = AUTO, noise = 0) {
  const named = { name: output.name, path: output.module_path, weak: false };
  if (!hasMap(output)) {
    const nothing = { height: 0, width: 0, values: new Float64Array(0), reduction: "" };
    return { ...named, ...nothing, detail: output.label, leftOut: "flat" };
  }
  if (!tensor) throw new UsageError(`There is no tensor for output ${output.name}.`);
  const channels = channelsOf(tensor, output);
  const { height, width } = channels;
  const isMean = output.averaged !== null && output.averaged !== undefined;
  if (isMean && reduce !== AUTO && reduce !== "mean") {
    throw new UsageError(`${output.name} is a mean over the channels already: it has no ${reduce}.`);
  }
  const order = isMean ? ["mean"] : reduce === AUTO ? AUTO_ORDER : [reduce];
  /** @type {FeatureMap | undefined} */
  let first;
  for (const reduction of order) {
    const values = REDUCTIONS[reduction].reduce(channels);
    const leftOut = showsNothing(values, channels, REDUCTIONS[reduction], isMean, noise);
    /** @type {FeatureMap} */
    const found = { ...named, detail: detailOf(output, channels), height, width, values, reduction, leftOut };
    if (leftOut !== "constant" && leftOut !== "rounding") return found;
    first ??= found;
  }
  return /** @type {FeatureMap} */ (first);
}

/**
 * The maps that show something new, those that hardly vary marked weak or left out, and the names of what is left out.
 * @param {FeatureMap[]} maps in the order of drawing
 * @param {{ aliases?: boolean, shared?: boolean, omitWeak?: boolean }} [choices]
 * @returns {{ maps: FeatureMap[], leftOut: Partial<Record<LeftOut, string[]>> }}
 */
export function worthDrawing(maps, { aliases = false, shared = false, omitWeak = false } = {}) {
  /** @type {Partial<Record<LeftOut, string[]>>} */
  const leftOut = {};
  /** @type {FeatureMap[]} */
  let found = [];
  const pictures = new Pictures(shared);
  for (const map of maps) {
    let why = map.leftOut;
    let said = why === "constant" || why === "rounding" ? ` (${middleText(map)})` : "";
    if (!why && !aliases) {
      const twin = pictures.like(map);
      if (twin !== null) [why, said] = ["repeat", ` = ${twin}`];
    }
    if (why) (leftOut[why] ??= []).push(map.name + said);
    else found.push(map);
  }
  const weak = weakOnes(found);
  if (omitWeak && weak.size) leftOut.weak = [...weak].map((map) => map.name);
  found = omitWeak
    ? found.filter((map) => !weak.has(map))
    : found.map((map) => (weak.has(map) ? { ...map, weak: true } : map));
  return { maps: found, leftOut };
}

/** @param {FeatureMap[]} maps */
function weakOnes(maps) {
  const spans = maps.map((map) => {
    const [low, high] = valueRange(map.values) ?? [0, 0];
    return high - low;
  });
  const strongest = spans.reduce((most, span) => Math.max(most, span), 0);
  return new Set(maps.filter((_, index) => spans[index] < WEAK * strongest));
}

/**
 * @param {Float64Array} values
 * @param {Channels} tensor
 * @param {import("./reductions.js").Reduction} row
 * @param {boolean} isMean
 * @param {number} noise
 * @returns {LeftOut | null}
 */
function showsNothing(values, tensor, row, isMean, noise) {
  if (values.length === 1) return "point";
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (Number.isNaN(value)) [low, high] = [NaN, NaN]; // a NaN is the lowest and the highest of all
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low === high) return "constant";
  if (isMean) return high - low <= ROUNDING * noise ? "rounding" : null;
  if (!tensor.isFloat || !Number.isFinite(high - low)) return null;
  const largest = row.magnitude(tensor).reduce((most, value) => Math.max(most, value), 0);
  return high - low <= ROUNDING * tensor.epsilon * largest ? "rounding" : null;
}

/**
 * @param {any} output
 * @param {Channels} tensor
 */
function detailOf(output, { channels, height, width }) {
  const size = `${output.averaged ?? channels} × ${height} × ${width}`;
  // An operation without a module of its own is called by its label already.
  const lastPart = output.name.slice(output.name.lastIndexOf(".") + 1).replace(/_\d+$/, "");
  return lastPart === output.label ? size : `${output.label} · ${size}`;
}

/** @param {FeatureMap} map */
function middleText(map) {
  const value = map.values[Math.floor(map.height / 2) * map.width + Math.floor(map.width / 2)];
  return withMinus(general(value + 0, 3));
}

/** What was drawn: of each map its name, one pixel and all of them, by its size. */
class Pictures {
  /** @param {boolean} shared whether all are drawn in one scale, in which twice the values are another picture */
  constructor(shared) {
    this.shared = shared;
    /** @type {Map<string, { name: string, middle: number, picture: Float64Array }[]>} */
    this.drawn = new Map();
  }

  /**
   * The name of the earlier map that looks the same; null keeps this one.
   * @param {FeatureMap} map
   * @returns {string | null}
   */
  like(map) {
    const [low, high] = valueRange(map.values) ?? [0, 0];
    const half = high / 2 - low / 2; // the range may be larger than the largest float64
    const picture = map.values.map((value) => (this.shared ? value / 2 : (value / 2 - low / 2) / (half || 1)));
    const apart = ALIKE * (this.shared ? half : 1);
    const middle = picture[Math.floor(map.height / 2) * map.width + Math.floor(map.width / 2)];
    const key = `${map.height} ${map.width}`;
    const drawn = this.drawn.get(key) ?? [];
    this.drawn.set(key, drawn);
    for (const each of drawn) {
      // Of most maps one pixel says it. A NaN is not apart.
      if (!(Math.abs(middle - each.middle) > apart) && alike(picture, each.picture, apart)) return each.name;
    }
    drawn.push({ name: map.name, middle, picture });
    return null;
  }
}

/**
 * @param {Float64Array} one
 * @param {Float64Array} other
 * @param {number} apart
 */
function alike(one, other, apart) {
  for (let index = 0; index < one.length; index++) {
    const [mine, theirs] = [one[index], other[index]];
    const same = mine === theirs || (Number.isNaN(mine) && Number.isNaN(theirs));
    if (!same && !(Math.abs(mine - theirs) <= apart)) return false;
  }
  return true;
}
