// Which value of a map gets which colour: each map's own ends or one pair for all, clipped, symmetric around zero. The
// rules are those of `runtime/maps/colour_scales.py`.

import { general, withMinus } from "../number_words.js";
import { roundHalfEven } from "../tensor.js";

/**
 * @typedef {object} ColourScale
 * @property {number} low the value of the lowest colour
 * @property {number} high
 * @property {string} cmap
 * @property {number} lowest what there is, beyond which there is nothing
 * @property {number} highest
 */
/**
 * @typedef {object} GridStyle
 * @property {string} [reduce] a row of `REDUCTIONS`, or auto
 * @property {boolean} [shared] one scale for all
 * @property {boolean} [symmetric] colours from -x to x for what has both signs
 * @property {number | null} [clip] percent of the pixels, at either end, that share the end's colour; null: 1, and only
 *   where those few would take most of the colours
 * @property {string | null} [cmap]
 * @property {boolean} [aliases] whether to draw also what looks like an earlier map
 * @property {number | null} [columns] of the picture
 */

export const SEQUENTIAL = "viridis";
export const DIVERGING = "RdBu_r";
const CLIPPED_BY_DEFAULT = 1;
/** Pixels of a map that is clipped by default: in a smaller one, a single pixel is a large part. */
const FEWEST_PIXELS = 20;
/** Of a map's range: if all but the clipped pixels lie within it, those few take many of the colours. */
const WASHED_OUT = 0.45;
/** With fewer pixels, what is clipped is one of them, and less is. */
const MANY_PIXELS = 100;
const WASHED_OUT_FEW = 0.3;
/** Of a map's range: how far an end lies from the others that is clipped. */
const FAR = 0.2;
/** Of a map's side, what is its edge. */
const EDGE = 0.07;
/** Pixels along the inside, of which fewer are a small part of the map. */
const SMALLEST_INSIDE = 10;
/**
 * Of a map's range: if all inside of its edge lies within this part of it, the edge takes many of the colours; and the
 * same of the pixels farthest out.
 */
const LITTLE = 0.6;

/**
 * Each map's scale; null where no value is finite.
 * @param {ArrayLike<number>[]} maps
 * @param {GridStyle} style
 * @returns {(ColourScale | null)[]}
 */
export function scalesOf(maps, style) {
  if (!style.shared) return maps.map((values) => scaleOf(sortedFinite([values]), style));
  const one = scaleOf(sortedFinite(maps), style);
  return maps.map(() => one);
}

/**
 * Each map's scale in an overview: a map's edge, which is computed from padding, and its pixels farthest out share the
 * ends' colours where they would take many of them.
 * @param {{ values: ArrayLike<number>, height: number, width: number }[]} maps H W each
 * @param {GridStyle} style
 * @returns {(ColourScale | null)[]}
 */
export function overviewScales(maps, style) {
  const found = scalesOf(
    maps.map((map) => map.values),
    style,
  );
  if (style.shared || style.symmetric || (style.clip ?? null) !== null) return found;
  return maps.map((map, index) => {
    const scale = found[index];
    return scale && ofMost(map, scale);
  });
}

/**
 * The scale of what is inside of a map's edge, and of its pixels less 1 % at either end, where the rest takes many of
 * the colours.
 * @param {{ values: ArrayLike<number>, height: number, width: number }} map
 * @param {ColourScale} scale
 * @returns {ColourScale}
 */
function ofMost({ values, height, width }, scale) {
  const shorter = Math.min(height, width);
  const edge = Math.max(1, roundHalfEven(shorter * EDGE));
  if (shorter < SMALLEST_INSIDE + 2 * edge) return scale;
  const all = Float64Array.from(values);
  const rows = Array.from({ length: height - 2 * edge }, (_, row) => (row + edge) * width);
  const inside = sortedFinite(rows.map((start) => all.subarray(start + edge, start + width - edge)));
  const count = Math.ceil((inside.length * CLIPPED_BY_DEFAULT) / 100);
  if (2 * count >= inside.length) return scale;
  let { lowest: low, highest: high } = scale;
  for (const left of [0, count]) {
    const [from, to] = [inside[left] + 0, inside[inside.length - 1 - left] + 0];
    if (from < to && to / 2 - from / 2 <= LITTLE * (high / 2 - low / 2)) [low, high] = [from, to];
  }
  return { ...scale, low, high };
}

/**
 * The scale from a map's lowest to its highest value.
 * @param {ArrayLike<number>} values
 */
export const ownScale = (values) => scaleOf(sortedFinite([values]), { clip: 0 });

/**
 * The ends as `−30 … −0.25` and `1.5`, with as many digits as tell them apart; equal for a constant.
 * @param {ColourScale} scale
 * @returns {[string, string]}
 */
export function rangeText(scale) {
  if (scale.lowest === scale.highest) {
    const text = withMinus(general(scale.lowest, 4));
    return [text, text];
  }
  let low = "";
  let high = "";
  for (let digits = 3; digits < 18 && low === high; digits++) {
    low = general(scale.low, digits);
    high = general(scale.high, digits);
  }
  if (scale.lowest < scale.low) low = `${general(scale.lowest, 3)} … ${low}`;
  if (scale.highest > scale.high) high = `${high} … ${general(scale.highest, 3)}`;
  return [withMinus(low), withMinus(high)];
}

/**
 * @param {ArrayLike<number>[]} maps
 * @returns {Float64Array} from low to high
 */
function sortedFinite(maps) {
  const found = new Float64Array(maps.reduce((sum, values) => sum + values.length, 0));
  let count = 0;
  for (const values of maps) {
    for (let index = 0; index < values.length; index++) {
      if (Number.isFinite(values[index])) found[count++] = values[index];
    }
  }
  return found.subarray(0, count).sort();
}

/**
 * @param {Float64Array} values sorted
 * @param {GridStyle} style
 * @returns {ColourScale | null}
 */
function scaleOf(values, style) {
  if (values.length === 0) return null;
  const lowest = values[0] + 0; // not -0
  const highest = values[values.length - 1] + 0;
  const [low, high] = clipped(values, lowest, highest, style.clip ?? null);
  if (style.symmetric && low < 0 && high > 0) {
    const end = Math.max(-low, high);
    return { low: -end, high: end, cmap: style.cmap ?? DIVERGING, lowest, highest };
  }
  return { low, high, cmap: style.cmap ?? SEQUENTIAL, lowest, highest };
}

/**
 * @param {Float64Array} values sorted
 * @param {number} lowest
 * @param {number} highest
 * @param {number | null} clip
 * @returns {[number, number]}
 */
function clipped(values, lowest, highest, clip) {
  const size = values.length;
  const count = Math.ceil((size * (clip ?? CLIPPED_BY_DEFAULT)) / 100);
  if (!count || 2 * count >= size || (clip === null && size < FEWEST_PIXELS)) return [lowest, highest];
  const low = values[count];
  const high = values[size - 1 - count];
  if (low === high) return [lowest, highest]; // the few are all there is to see
  if (clip !== null) return [low, high];
  // Halved, because the range may be larger than the largest float64.
  const inner = high / 2 - low / 2;
  const whole = highest / 2 - lowest / 2;
  const [washedOut, far] = size >= MANY_PIXELS ? [WASHED_OUT, FAR * whole] : [WASHED_OUT_FEW, inner];
  if (inner >= washedOut * whole) return [lowest, highest];
  // An end that is near the others stays: a map with one peak keeps its darkest pixels apart.
  return [low / 2 - lowest / 2 > far ? low : lowest, highest / 2 - high / 2 > far ? high : highest];
}
