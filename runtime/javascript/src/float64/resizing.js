// Resize and Upsample, axis by axis: each new element as a weighted sum of a few old ones.

import { rounded } from "./elementwise.js";
import { NotComputed, Values, axisOf, sizeOf, zeros } from "./values.js";

/** @typedef {import("./calls.js").Call} Call */
/** @typedef {{ index: number, weight: number }[]} Taps of one new element */

/** @type {Record<string, (place: number) => number>} */
const NEAREST = {
  round_prefer_floor: (place) => Math.ceil(place - 0.5),
  round_prefer_ceil: (place) => Math.floor(place + 0.5),
  floor: Math.floor,
  ceil: Math.ceil,
};

/**
 * What is added to a new place before it is divided by the scale, and after.
 *
 * @type {Record<string, [number, number]>}
 */
const OFFSETS = {
  asymmetric: [0, 0],
  half_pixel: [0.5, -0.5],
  half_pixel_symmetric: [0.5, -0.5],
  pytorch_half_pixel: [0.5, -0.5],
  tf_half_pixel_for_nn: [0.5, 0],
};

/** @param {Call} call since opset 11, any tensor to other sizes along `axes` @returns {Values[]} */
export function resize(call) {
  const [x] = call.given(1),
    axes = call.ints("axes")?.map((axis) => axisOf(axis, x.rank)) ?? x.shape.map((_, axis) => axis);
  const transformation = call.text("coordinate_transformation_mode"),
    mode = call.text("mode") || "nearest";
  const targets = targetsOf(
    axes.map((axis) => x.shape[axis]),
    call.numbers(2),
    call.numbers(3),
    call.text("keep_aspect_ratio_policy") || "stretch",
  );
  if (!OFFSETS[transformation] && transformation !== "align_corners")
    throw new NotComputed(`Resize with coordinate_transformation_mode=${transformation}`);
  const nearest = NEAREST[call.text("nearest_mode") || "round_prefer_floor"];
  if (!nearest || !["nearest", "linear", "cubic"].includes(mode)) throw new NotComputed(`Resize with mode=${mode}`);
  const isCut = !x.isFloat && mode !== "nearest";
  if (isCut && (mode === "cubic" || call.int("antialias"))) throw ofIntegers(x, mode);
  let out = x;
  axes.forEach((axis, number) => {
    const { size, ratio } = targets[number],
      length = x.shape[axis];
    if (size === length && Math.abs(ratio - 1) <= 1e-9) return;
    const shrunk = call.int("antialias") ? Math.min(ratio, 1) : 1,
      cubic = mode === "cubic" ? call.float("cubic_coeff_a") : null;
    const places = placesOf(size, ratio, length, transformation);
    out = resized(
      out,
      axis,
      places.map((place) => {
        if (mode === "nearest") return [{ index: nearest(place), weight: 1 }];
        return normalized(tapsAt(place, shrunk, cubic), call.int("exclude_outside") ? length : Infinity);
      }),
    );
  });
  return [isCut ? cutOff(out) : out];
}

/**
 * Whole numbers for interpolated integers, nearer to 0: ONNX says nothing, ONNX Runtime converts them so. An integer that
 * float64's own rounding has moved is what it was.
 * @param {Values} x
 * @returns {Values}
 */
function cutOff(x) {
  const whole = (/** @type {number} */ value) =>
    Math.abs(value - Math.round(value)) < OF_ROUNDING ? Math.round(value) : Math.trunc(value);
  return new Values(x.shape, x.data.map(whole), x.kind);
}

const OF_ROUNDING = 1e-6;

/** @param {Values} x @param {string} mode @returns {NotComputed} */
function ofIntegers(x, mode) {
  return new NotComputed(`Resize of ${x.kind} with mode=${mode}`);
}

/**
 * @param {Call} call Resize of opset 10, and Upsample, whose rounding no definition gives: as ONNX Runtime does it
 * @returns {Values[]}
 */
export function resizeByScales(call) {
  const [x] = call.given(1),
    mode = call.text("mode") || "nearest",
    given = call.numbers(1) ?? call.attribute("scales");
  if (!x.isFloat && mode !== "nearest") throw ofIntegers(x, mode);
  let out = x;
  targetsOf(x.shape, given, undefined, "stretch").forEach(({ size, ratio }, axis) => {
    const length = x.shape[axis];
    if (size === length && Math.abs(ratio - 1) <= 1e-9) return;
    const nearest = ratio < 1 ? Math.ceil : Math.floor;
    out = resized(
      out,
      axis,
      placesOf(size, ratio, length, "asymmetric").map((place) =>
        mode === "nearest" ? [{ index: nearest(place), weight: 1 }] : normalized(tapsAt(place, 1, null), Infinity),
      ),
    );
  });
  return [out];
}

/**
 * @param {readonly number[]} lengths
 * @param {number[] | undefined} scales
 * @param {number[] | undefined} sizes
 * @param {string} policy
 * @returns {{ size: number, ratio: number }[]} the new size of each axis, and by how much it grows
 */
function targetsOf(lengths, scales, sizes, policy) {
  const given = sizes?.length ? sizes : scales;
  if (given?.length !== lengths.length) throw new NotComputed("Resize takes either a scale or a size for each axis");
  if (!sizes?.length)
    return lengths.map((length, axis) => ({ size: Math.floor(given[axis] * length), ratio: asMeant(given[axis]) }));
  const wanted = lengths.map((length, axis) => sizes[axis] / length);
  if (policy === "stretch") return lengths.map((_, axis) => ({ size: sizes[axis], ratio: wanted[axis] }));
  const common = policy === "not_larger" ? Math.min(...wanted) : Math.max(...wanted);
  return lengths.map((length) => ({ size: Math.floor(common * length + 0.5), ratio: common }));
}

/**
 * Return the ratio of small integers that a scale was before ONNX rounded it to float32: with the float32 next to 1.6,
 * element 8 comes from just below 5, which `floor` turns into 4.
 *
 * @param {number} scale
 */
function asMeant(scale) {
  for (let divisor = 1; divisor <= 1000; divisor++) {
    const meant = rounded(scale * divisor) / divisor;
    if (Math.fround(meant) === scale) return meant;
  }
  return scale;
}

/**
 * @param {number} size
 * @param {number} ratio
 * @param {number} length
 * @param {string} mode
 * @returns {number[]} where each new element lies among the old ones
 */
function placesOf(size, ratio, length, mode) {
  if (!(size > 0 && size < 2 ** 24)) throw new NotComputed(`Resize to ${size} elements`);
  const places = Array.from({ length: size }, (_, place) => place);
  if (mode === "align_corners") return places.map((place) => (place * (length - 1)) / Math.max(1, size - 1));
  if (mode === "pytorch_half_pixel" && size === 1) return [0];
  const [before, offset] = OFFSETS[mode],
    after = mode === "half_pixel_symmetric" ? offset + (length / 2) * (1 - size / (ratio * length)) : offset;
  return places.map((place) => exact((place + before) / ratio) + after);
}

/** Of a quotient that float64 put beside a whole number or a half, that. @param {number} value */
function exact(value) {
  const near = Math.round(2 * value) / 2;
  return Math.abs(value - near) <= 1e-12 * Math.max(1, Math.abs(value)) ? near : value;
}

/**
 * @param {number} place
 * @param {number} shrunk
 * @param {number | null} cubic
 * @returns {Taps} with antialiasing, more of them the more it shrinks
 */
function tapsAt(place, shrunk, cubic) {
  const reach = Math.ceil((cubic === null ? 1 : 2) / shrunk),
    below = Math.floor(place),
    taps = [];
  for (let step = 1 - reach; step < 1 + reach; step++) {
    const distance = Math.abs(below + step - place) * shrunk;
    taps.push({ index: below + step, weight: cubic === null ? Math.max(0, 1 - distance) : keys(distance, cubic) });
  }
  return taps;
}

/** Keys' cubic convolution. @param {number} d @param {number} a */
function keys(d, a) {
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0;
}

/** @param {Taps} taps @param {number} within @returns {Taps} whose weights add up to 1, without indices outside */
function normalized(taps, within) {
  const kept = within === Infinity ? taps : taps.filter(({ index }) => index >= 0 && index < within);
  const total = kept.reduce((sum, { weight }) => sum + weight, 0);
  return kept.map(({ index, weight }) => ({ index, weight: weight / total }));
}

/**
 * @param {Values} x
 * @param {number} axis
 * @param {Taps[]} taps beyond the ends, the outermost element is repeated
 * @returns {Values}
 */
function resized(x, axis, taps) {
  const size = x.shape[axis],
    after = sizeOf(x.shape.slice(axis + 1)),
    before = sizeOf(x.shape.slice(0, axis));
  const out = zeros(
    x.shape.map((each, other) => (other === axis ? taps.length : each)),
    x.kind,
  );
  const sources = taps.map((each) =>
    each.map(({ index, weight }) => ({ from: Math.min(size - 1, Math.max(0, index)) * after, weight })),
  );
  for (let outer = 0, at = 0; outer < before; outer++) {
    for (const each of sources) {
      for (const { from, weight } of each) {
        const begin = outer * size * after + from;
        for (let k = 0; k < after; k++) out.data[at + k] += weight * x.data[begin + k];
      }
      at += after;
    }
  }
  return out;
}
