// Which value of a map gets which colour: each map's own ends or one pair for all, clipped, symmetric around zero. The
// rules are those of `runtime/maps/colour_scales.py`.

import { general, inOneForm, withMinus, withPower } from "../number_words.js";
import { roundHalfEven } from "../tensor.js";

/**
 * @typedef {object} ColourScale
 * @property {number} low the value of the lowest colour
 * @property {number} high
 * @property {string} cmap
 * @property {number} lowest what there is, beyond which there is nothing
 * @property {number} highest
 * @property {boolean} [pale] whether the colours are pale, since the map says little
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
 * @property {number | null} [width] of the picture, in pixels
 * @property {boolean} [overlay] whether each map lies over its photo
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
/** Of the largest value, that a map's colours span at least, or else it is nearly constant. */
export const FLAT = 0.1;
/** Of a map's side, what is its edge. */
const EDGE = 0.07;
/** Of the widest range: what is no strength. */
export const LEAST_STRENGTH = 1e-8;
/** Of the widest range, from which on ranges are similar. */
const SIMILAR = 1e-3;
/** The shortest side of which that is a small part. */
const SMALLEST_EDGED = 12;

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
 * ends' colours, unless something else is asked for.
 * @param {{ values: ArrayLike<number>, height: number, width: number }[]} maps H W each
 * @param {GridStyle} style
 * @returns {(ColourScale | null)[]}
 */
export function overviewScales(maps, style) {
  const found = scalesOf(
    maps.map((map) => map.values),
    style,
  );
  if (!isInner(style)) return found;
  return maps.map((map, index) => {
    const scale = found[index];
    return scale && ofMost(map, scale);
  });
}

/**
 * Whether no edge and no lone pixel takes a map's colours in an overview.
 * @param {GridStyle} style
 */
export const isInner = ({ shared, symmetric, clip }) => !shared && !symmetric && (clip ?? null) === null;

/**
 * Whether the colours span little of the values: what is seen is nearly constant.
 * @param {ColourScale | null} scale
 */
export const isFlat = (scale) =>
  scale !== null && scale.high / 2 - scale.low / 2 < (FLAT * Math.max(Math.abs(scale.low), Math.abs(scale.high))) / 2;

/**
 * The scale of what is inside of a map's edge, less 1 % of these pixels, at least one, at either end.
 * @param {{ values: ArrayLike<number>, height: number, width: number }} map
 * @param {ColourScale} scale
 * @returns {ColourScale}
 */
function ofMost({ values, height, width }, scale) {
  const shorter = Math.min(height, width);
  const edge = shorter < SMALLEST_EDGED ? 0 : Math.max(1, roundHalfEven(shorter * EDGE));
  const all = Float64Array.from(values);
  const rows = Array.from({ length: height - 2 * edge }, (_, row) => (row + edge) * width);
  const inside = sortedFinite(rows.map((start) => all.subarray(start + edge, start + width - edge)));
  const count = Math.ceil((inside.length * CLIPPED_BY_DEFAULT) / 100);
  for (const left of inside.length < FEWEST_PIXELS ? [] : [count, 0]) {
    const [low, high] = [inside[left], inside[inside.length - 1 - left]];
    if (low < high) return { ...scale, low, high }; // else the few are all there is to see
  }
  return { ...scale, low: scale.lowest, high: scale.highest };
}

/**
 * The scale with colours that diverge from 0, as far below it as above.
 * @param {ColourScale | null} scale
 * @returns {ColourScale | null}
 */
export function aroundZero(scale) {
  if (scale === null || !(scale.low < 0 && scale.high > 0)) return scale;
  const end = Math.max(-scale.low, scale.high);
  return { ...scale, low: -end, high: end, cmap: DIVERGING };
}

/**
 * The scale from a map's lowest to its highest value.
 * @param {ArrayLike<number>} values
 */
export const ownScale = (values) => scaleOf(sortedFinite([values]), { clip: 0 });

/**
 * The ends as `−30 … −0.25` and `1.5`, with as many digits as tell them apart; equal for a constant. In short, `≤ −0.25`:
 * how far what shares the end's colour lies isn't said; and both have as many decimals. Without marks, nothing is said of it.
 * @param {ColourScale} scale
 * @param {{ short?: boolean, marks?: boolean }} [how]
 * @returns {[string, string]}
 */
export function rangeText(scale, { short = false, marks = true } = {}) {
  if (scale.lowest === scale.highest) {
    const text = withMinus(general(scale.lowest, 4));
    return [text, text];
  }
  let [low, high] = short ? inOneForm(scale.low, scale.high) : ["", ""];
  for (let digits = 3; digits < 18 && low === high; digits++) {
    low = general(scale.low, digits);
    high = general(scale.high, digits);
  }
  if (marks && scale.lowest < scale.low) low = short ? `≤ ${low}` : `${general(scale.lowest, 3)} … ${low}`;
  if (marks && scale.highest > scale.high) high = short ? `≥ ${high}` : `${high} … ${general(scale.highest, 3)}`;
  return short ? [withPower(low), withPower(high)] : [withMinus(low), withMinus(high)];
}

/**
 * How wide each range is beside the widest, on a scale of powers of ten from 0, for `LEAST_STRENGTH` of it or less, to 1;
 * null where all are of a similar width.
 * @param {(ColourScale | null)[]} scales
 * @returns {number[] | null}
 */
export function strengthsOf(scales) {
  const spans = scales.map((scale) => (scale ? scale.high / 2 - scale.low / 2 : 0));
  const widest = Math.max(0, ...spans);
  const narrowest = Math.min(...spans.filter(Boolean));
  if (!(narrowest < SIMILAR * widest)) return null;
  return spans.map((span) => (span / widest ? Math.max(1 - Math.log10(span / widest) / Math.log10(LEAST_STRENGTH), 0) : 0));
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
