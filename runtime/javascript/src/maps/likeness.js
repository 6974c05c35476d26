// How maps look to the eye: which are alike, which are noise, a checkerboard, or hardly vary; the sign of components. The
// rules of `runtime/maps/likeness.py`; what follows from it for an overview is up to `thinning.js`.

import { roundHalfEven } from "../tensor.js";
import { valueRange } from "./colour_maps.js";
import { isComponent, isFurtherComponent, sameSize } from "./feature_maps.js";

/** @typedef {import("./component_colours.js").Plane} Plane */
/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/** @typedef {{ values: ArrayLike<number>, height: number, width: number }} Picture H W */

/** Of what the strongest map varies by: what varies less is mostly chance, or rounding of what was computed before. */
export const FAINT = 1e-4;
/** Of the strongest map's pixels, at either end: one pixel of a million would make all others weak. */
const OUTLIERS = 0.01;
/** The correlation of neighbouring pixels, below which a map looks like noise. */
const CHANCE = 0.4;
/** Of a map's variance, by which its pixels agree more with the second next than with the next: a checkerboard. */
const PERIODIC = 0.2;
/** Pixels of a map, in which neighbours can be told from chance. */
const LEAST_SIDE = 7;
/** Pixels: a larger map is averaged down to about as many, a smaller one over 3 x 3. */
const BLURRED = 28;
/** Of a map's side, one pixel for so many, what is computed from padding. */
const RIM = 14;
/** The least side of a map in which outlines can be seen. */
export const LEAST_OUTLINED = 28;

/** Of a map's standard deviation, by which the pixels of a frame differ from those beside them. */
/** Maps of one size, from which on they can hardly change. */
const MANY = 8;
/** Their least correlation with the last, from which on they do. */
const VERY_ALIKE = 0.95;
const JUMP = 0.4;
/** How much more of them are of one sign than of the other. */
const ONE_SIGN = 0.9;
/** On how many sides, at least. */
const SIDES = 3;

/**
 * Which maps hardly vary beside the strongest, whose outliers don't count; none that isn't finite.
 * @param {FeatureMap[]} maps
 * @returns {boolean[]}
 */
export function areWeak(maps) {
  const spans = maps.map((map) => {
    const [low, high] = valueRange(map.values) ?? [0, 0];
    return high - low;
  });
  let strongest = 0;
  for (const index of [...spans.keys()].sort((one, other) => spans[other] - spans[one])) {
    if (spans[index] <= strongest) break;
    strongest = Math.max(strongest, innerSpan(maps[index].values));
  }
  return maps.map(({ values }, index) => spans[index] < FAINT * strongest && values.every(Number.isFinite));
}

/**
 * The range of a map's finite values without 1 % of them, at least one, at either end.
 * @param {ArrayLike<number>} values
 */
function innerSpan(values) {
  const finite = Float64Array.from(values).filter(Number.isFinite).sort();
  const count = Math.ceil(finite.length * OUTLIERS);
  return 2 * count >= finite.length ? 0 : finite[finite.length - 1 - count] - finite[count];
}

/**
 * A smaller or smoother map, so scaled that the product of two is their correlation; 0 if there is none.
 * @param {Picture} map
 * @returns {Float64Array}
 */
export function blurred({ values, height, width }) {
  if (!allFinite(values)) return new Float64Array(values.length); // of which nothing is alike
  const step = Math.floor(Math.max(height, width) / BLURRED);
  const small = step > 1 ? summedBlocks(values, height, width, step) : summedNeighbours(values, height, width);
  const varying = lessMean(small);
  const norm = Math.sqrt(dot(varying, varying));
  return norm && Number.isFinite(norm) ? varying.map((value) => value / norm) : new Float64Array(small.length);
}

/**
 * Whether neighbouring pixels have little to do with one another.
 * @param {Picture} map
 */
export function isNoise({ values, height, width }) {
  if (Math.min(height, width) < LEAST_SIDE || !allFinite(values)) return false;
  const varying = lessMean(values);
  return Math.abs(correlated(varying, height, width, 1)) < CHANCE * power(varying); // a checkerboard is none
}

/**
 * Whether pixels are more like the second next than the next, as with a stride of two.
 * @param {Picture} map
 */
export function isCheckerboard({ values, height, width }) {
  if (Math.min(height, width) < 2 * LEAST_SIDE || !allFinite(values)) return false;
  const [rows, columns] = [height - 4, width - 4]; // the padding's edge is no part of it
  const inner = new Float64Array(rows * columns);
  for (let y = 0, to = 0; y < rows; y++) for (let x = 0; x < columns; x++) inner[to++] = values[(y + 2) * width + x + 2];
  const varying = lessMean(inner);
  const [next, second] = [1, 2].map((step) => correlated(varying, rows, columns, step));
  return second - next > PERIODIC * power(varying);
}

/**
 * Whether in a map of few pixels those along most sides are all brighter, or all darker, than those beside them: computed
 * from padding.
 * @param {Picture} map
 */
export function isFramed({ values, height, width }) {
  if (Math.max(height, width) > LEAST_OUTLINED || Math.min(height, width) < LEAST_SIDE || !allFinite(values)) return false;
  const jump = JUMP * Math.sqrt(power(lessMean(values)));
  const [last, below] = [(height - 1) * width, width - 1];
  // Of each side: its first pixel but one, from one to the next, to the one beside it, how many there are.
  const sides = [
    [1, 1, width, width - 2],
    [last + 1, 1, -width, width - 2],
    [width, width, 1, height - 2],
    [width + below, width, -1, height - 2],
  ];
  const framed = sides.filter(([first, next, inner, count]) => {
    let [signs, sum] = [0, 0];
    for (let index = 0, at = first; index < count; index++, at += next) {
      const step = values[at] - values[at + inner];
      signs += Math.sign(step);
      sum += step;
    }
    return Math.abs(signs / count) >= ONE_SIGN && jump > 0 && Math.abs(sum / count) >= jump;
  });
  return framed.length >= SIDES;
}

/**
 * The maps, those that are principal components with the sign by which they look most like the map before.
 * @param {FeatureMap[]} maps one after the other
 * @param {Picture | null} photo its brightness, which stands before the first, if there is one
 * @returns {FeatureMap[]}
 */
export function aligned(maps, photo) {
  /** @type {FeatureMap[]} */
  const found = [];
  /** @type {Map<string, Picture>} */
  const before = new Map();
  for (const map of maps) {
    const other = before.get(map.part) ?? (isFurtherComponent(map) ? brightMiddle(map) : photo);
    const isTurned = isComponent(map) && other !== null && agreement(other, filled(map)) < 0;
    found.push(isTurned ? { ...map, values: map.values.map((value) => -value) } : map);
    if (map.values.some(Number.isFinite)) before.set(map.part, filled(found[found.length - 1]));
  }
  return found;
}

/**
 * A map with the mean in place of what isn't finite; 0 where nothing is.
 * @param {Picture} map
 * @returns {Picture}
 */
function filled({ values, height, width }) {
  const all = Array.from(values);
  const finite = all.filter(Number.isFinite);
  const mean = finite.reduce((sum, value) => sum + value, 0) / (finite.length || 1);
  return { values: Float64Array.from(all, (value) => (Number.isFinite(value) ? value : mean)), height, width };
}

/**
 * Pearson's correlation of a map with one that is brightest in its middle, both without the rim, which is computed from
 * padding; 0 if there is none.
 * @param {Picture} map
 */
export function middleCorrelation(map) {
  const rim = Math.ceil(Math.min(map.height, map.width) / RIM);
  const [middle, inner] = [brightMiddle(map), map].map((each) => within(each, rim));
  return correlation(middle, inner);
}

/**
 * A map without its rim.
 * @param {Picture} map
 * @param {number} rim
 * @returns {Picture}
 */
function within({ values, height, width }, rim) {
  const size = { height: Math.max(height - 2 * rim, 0), width: Math.max(width - 2 * rim, 0) };
  const at = (/** @type {number} */ index) => (Math.floor(index / size.width) + rim) * width + (index % size.width) + rim;
  return { ...size, values: Float64Array.from({ length: size.height * size.width }, (_, index) => values[at(index)]) };
}

/**
 * A map that is brightest in its middle, where most photos have what they are of.
 * @param {{ height: number, width: number }} size
 * @returns {Picture}
 */
function brightMiddle({ height, width }) {
  const nearness = (/** @type {number} */ at, /** @type {number} */ side) => 1 - Math.abs((2 * (at + 1)) / (side + 1) - 1);
  const values = Float64Array.from({ length: height * width }, (_, at) =>
    Math.min(nearness(Math.floor(at / width), height), nearness(at % width, width)),
  );
  return { height, width, values };
}

/**
 * The least correlation of many maps of one size with the last, whatever its sign, if they hardly change.
 * @param {FeatureMap[]} maps
 * @returns {number | null}
 */
export function steadiness(maps) {
  if (maps.length < MANY || !maps.every((map) => sameSize(map, maps[0]))) return null;
  const last = blurred(maps[maps.length - 1]);
  const least = Math.min(...maps.map((map) => Math.abs(dot(blurred(map), last))));
  return least >= VERY_ALIKE ? least : null;
}

/**
 * The maps with their hues turned, which is free, to look most like those before; never to the photo's: a model that knows
 * nothing of colours would seem to see skin and sky.
 * @param {FeatureMap[]} maps
 * @returns {FeatureMap[]}
 */
export function withTurnedHues(maps) {
  /** @type {Plane | null} */
  let before = null;
  return maps.map((map) => {
    if (!map.hues) return map;
    const { height, width } = map;
    const plane = before ? turned({ ...map.hues, height, width }, before) : map.hues.plane;
    before = { plane, height, width };
    return { ...map, hues: { ...map.hues, plane } };
  });
}

/**
 * Hues, H W 2, turned or mirrored so that they agree best with others: Procrustes's problem in a plane.
 * @param {Plane} hues
 * @param {Plane} before
 * @returns {Float64Array}
 */
export function turned(hues, before) {
  const height = Math.min(hues.height, before.height, BLURRED);
  const width = Math.min(hues.width, before.width, BLURRED);
  const [mine, theirs] = [hues, before].map((each) =>
    [0, 1].map((axis) => averaged(each.plane.filter((_, at) => at % 2 === axis), each, height, width)),
  );
  const [[a, b], [c, d]] = theirs.map((their) => mine.map((each) => dot(lessMean(their), each)));
  const [turn, mirror] = [Math.hypot(a + d, c - b), Math.hypot(a - d, b + c)];
  if (!Number.isFinite(turn + mirror) || !(turn + mirror)) return hues.plane;
  const sign = turn >= mirror ? 1 : -1;
  const [cos, sin] = [(a + sign * d) / Math.max(turn, mirror), (c - sign * b) / Math.max(turn, mirror)];
  const found = new Float64Array(hues.plane.length);
  for (let at = 0; at < found.length; at += 2) {
    const [one, other] = [hues.plane[at], hues.plane[at + 1]];
    found[at] = cos * one - sign * sin * other;
    found[at + 1] = sin * one + sign * cos * other;
  }
  return found;
}

/**
 * The covariance of two maps, whose sign says whether they are bright in the same places.
 * @param {Picture} one
 * @param {Picture} other
 */
function agreement(one, other) {
  const [first, second] = centred(one, other);
  const found = dot(first, second);
  return Number.isFinite(found) ? found : 0;
}

/**
 * Pearson's correlation of two maps, averaged down to the size of the smaller one and to 28 pixels at most; 0 if there is
 * none.
 * @param {Picture} one
 * @param {Picture} other
 */
export function correlation(one, other) {
  const [first, second] = centred(one, other);
  const found = dot(first, second) / (Math.sqrt(dot(first, first)) * Math.sqrt(dot(second, second)));
  return Number.isFinite(found) ? found : 0;
}

/**
 * How much a map changes where a photo does, whatever the sign: Pearson's correlation of the square roots of their slopes,
 * so that a few edges aren't all, without the rim; both averaged down as by `correlation`. Null of a map that is too
 * small to show any.
 * @param {Picture[]} colours of the photo
 * @param {Picture} map
 */
export function outlinesCorrelation(colours, map) {
  const height = Math.min(colours[0].height, map.height, BLURRED);
  const width = Math.min(colours[0].width, map.width, BLURRED);
  if (Math.min(height, width) < LEAST_OUTLINED) return null;
  const rim = Math.ceil(Math.min(height, width) / RIM);
  const [one, other] = [colours, [map]].map((parts) =>
    steepnessOf(parts.map((each) => coarse(each, height, width)), height, width, rim),
  );
  return correlation(one, other);
}

/**
 * The square root of how steep pictures are together at each pixel within the rim, by central differences.
 * @param {Float64Array[]} parts
 * @param {number} height
 * @param {number} width
 * @param {number} rim at least 1
 * @returns {Picture}
 */
function steepnessOf(parts, height, width, rim) {
  const [rows, columns] = [height - 2 * rim, width - 2 * rim];
  const values = Float64Array.from({ length: rows * columns }, (_, to) => {
    const at = (Math.floor(to / columns) + rim) * width + (to % columns) + rim;
    const squares = parts.map((each) => (each[at + 1] - each[at - 1]) ** 2 + (each[at + width] - each[at - width]) ** 2);
    return (squares.reduce((sum, each) => sum + each, 0) / 4) ** 0.25;
  });
  return { values, height: rows, width: columns };
}

/**
 * Two maps averaged down to one size, less their means.
 * @param {Picture} one
 * @param {Picture} other
 */
function centred(one, other) {
  const height = Math.min(one.height, other.height, BLURRED);
  const width = Math.min(one.width, other.width, BLURRED);
  return [one, other].map((each) => lessMean(coarse(each, height, width)));
}

/**
 * A map averaged down to so many rows and columns, scaled so that no square overflows.
 * @param {Picture} map
 * @param {number} rows
 * @param {number} columns
 */
function coarse({ values, height, width }, rows, columns) {
  let largest = 0;
  // A NaN is the largest of all.
  for (let at = 0; at < values.length; at++) largest = Math.max(largest, Math.abs(values[at]));
  return averaged(values, { height, width }, rows, columns, largest || 1);
}

/**
 * @param {ArrayLike<number>} values
 * @param {{ height: number, width: number }} size
 * @param {number} rows
 * @param {number} columns
 * @param {number} [unit]
 */
function averaged(values, { height, width }, rows, columns, unit = 1) {
  const [tops, lefts] = [edges(height, rows), edges(width, columns)];
  const found = new Float64Array(rows * columns);
  for (let row = 0, to = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let sum = 0;
      for (let y = tops[row]; y < tops[row + 1]; y++) {
        for (let x = lefts[column]; x < lefts[column + 1]; x++) sum += values[y * width + x] / unit;
      }
      found[to++] = sum / (tops[row + 1] - tops[row]) / (lefts[column + 1] - lefts[column]);
    }
  }
  return found;
}

/**
 * Where each of so many parts of a side begins, and where the last ends.
 * @param {number} side
 * @param {number} parts
 */
function edges(side, parts) {
  return Array.from({ length: parts + 1 }, (_, index) => (index < parts ? roundHalfEven(index * (side / parts)) : side));
}

/**
 * The sums of squares of pixels; what is left over at the right and below is left out.
 * @param {ArrayLike<number>} values
 * @param {number} height
 * @param {number} width
 * @param {number} step
 */
function summedBlocks(values, height, width, step) {
  const [rows, columns] = [height, width].map((side) => Math.max(Math.floor(side / step), 1));
  const [lastRow, lastColumn] = [Math.min(rows * step, height), Math.min(columns * step, width)];
  const found = new Float64Array(rows * columns);
  for (let y = 0; y < lastRow; y++) {
    const row = Math.floor(y / step) * columns;
    for (let x = 0; x < lastColumn; x++) found[row + Math.floor(x / step)] += values[y * width + x];
  }
  return found;
}

/**
 * The sums over 3 x 3 pixels; beyond the edge lies what lies on it.
 * @param {ArrayLike<number>} values
 * @param {number} height
 * @param {number} width
 */
function summedNeighbours(values, height, width) {
  const within = (/** @type {number} */ at, /** @type {number} */ side) => Math.min(Math.max(at, 0), side - 1);
  const found = new Float64Array(height * width);
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to++) {
      for (let column = x - 1; column <= x + 1; column++) {
        const at = within(column, width);
        for (let row = y - 1; row <= y + 1; row++) found[to] += values[within(row, height) * width + at];
      }
    }
  }
  return found;
}

/**
 * The mean product of pixels so far apart, along the rows and the columns.
 * @param {Float64Array} varying
 * @param {number} height
 * @param {number} width
 * @param {number} step
 */
function correlated(varying, height, width, step) {
  let [along, down] = [0, 0];
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      if (x + step < width) along += varying[at] * varying[at + step];
      if (y + step < height) down += varying[at] * varying[at + step * width];
    }
  }
  return (along / (height * (width - step)) + down / ((height - step) * width)) / 2;
}

/** @param {Float64Array} varying */
const power = (varying) => dot(varying, varying) / varying.length;

/** @param {ArrayLike<number>} values */
function allFinite(values) {
  for (let at = 0; at < values.length; at++) if (!Number.isFinite(values[at])) return false;
  return true;
}

/** @param {ArrayLike<number>} values */
function lessMean(values) {
  let sum = 0;
  for (let at = 0; at < values.length; at++) sum += values[at];
  return Float64Array.from(values, (value) => value - sum / values.length);
}

/**
 * The product of two maps; of one that isn't finite it is 0.
 * @param {Float64Array} one
 * @param {Float64Array} other
 */
export function dot(one, other) {
  let sum = 0;
  for (let at = 0; at < Math.min(one.length, other.length); at++) sum += one[at] * other[at];
  return sum;
}
