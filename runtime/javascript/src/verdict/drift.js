// One output against its float64 truth: numbers and a verdict. The rule and its limits are Python's (runtime/verdict/drift.py).

import { Values, sizeOf, stridesOf } from "../float64/values.js";
import { channelMaximum, channelStatistics } from "./channels.js";
import { placesIn, sampled } from "./truths.js";
import { FILE_PASSING_DRIFT, FILE_RUNNER, PASSING_DRIFT, UNPROVEN_NOISE, VERDICTS } from "./verdict_table.js";

/** @typedef {import("./truths.js").Truth} Truth */
/** @typedef {import("./truths.js").Numbers} Numbers */

/**
 * @typedef {object} OutputComparison as `verify --json` writes it; the numbers are null where nothing could be compared
 * @property {string} name
 * @property {import("./verdict_table.js").Verdict} verdict
 * @property {number | null} drift
 * @property {number | null} max_abs
 * @property {number | null} relative_to_scale
 * @property {number | null} sqnr_db
 * @property {number | null} cosine
 * @property {number | null} introduced
 * @property {number | null} inherited
 */

const TINY = 2 ** -126;
/** Times the tensor's scale: what float64 itself may lose. */
const CANCELLED = 2 ** -44;
/** @type {Record<string, number>} machine epsilon by type */
const EPSILONS = { float16: 2 ** -10, bfloat16: 2 ** -7, float32: 2 ** -23 };

/** @param {string} dtype @returns {number} */
const epsilonOf = (dtype) => EPSILONS[dtype] ?? 2 ** -52;

/** @param {{ verdict: import("./verdict_table.js").Verdict }} output @returns {boolean} */
export const failed = ({ verdict }) => VERDICTS[verdict].fails;

/** @param {string} runner @returns {number} the largest drift that passes in it */
export const passingDrift = (runner) => (runner === FILE_RUNNER ? FILE_PASSING_DRIFT : PASSING_DRIFT);

/**
 * The drift is the largest error in multiples of max(noise floor, machine epsilon) times the tensor's scale, or of `loss`
 * where that is larger: over the sample, and by the statistics of each channel over all elements.
 *
 * @param {string} name
 * @param {Truth} truth
 * @param {Values | null} candidate null if nothing was returned
 * @param {string} dtype in which the model computed it
 * @param {object} [options]
 * @param {Values | null} [options.loss] what the operation may lose in each element; it broadcasts
 * @param {boolean} [options.inFloat64] whether it was computed in float64: nothing but `loss` is allowed
 * @returns {OutputComparison}
 */
export function compareOutput(name, truth, candidate, dtype, { loss = null, inFloat64 = false } = {}) {
  if (!candidate) return uncompared(name, "missing");
  if (candidate.shape.join() !== truth.shape.join()) return uncompared(name, "shape");
  const result = sampled(truth, candidate.data),
    expected = truth.sample;
  if (!sameNonfinite(truth, candidate, result, inFloat64)) return uncompared(name, "nonfinite");
  const unit = inFloat64 ? CANCELLED * truth.scale : driftUnit(truth, dtype),
    lost = loss ? sampledLoss(loss, truth) : null;
  let [drift, most, errorPower, power, product, ownPower, known] = [0, 0, 0, 0, 0, 0, 0];
  for (let at = 0; at < expected.length; at++) {
    const value = result[at],
      right = expected[at];
    if (!Number.isFinite(right)) continue;
    const error = value - right,
      size = Math.abs(error),
      ratio = size / (lost ? Math.max(lost[at], unit) : unit);
    known++;
    if (ratio > drift) drift = ratio;
    if (size > most) most = size;
    errorPower += error * error;
    power += right * right;
    product += value * right;
    ownPower += value * value;
  }
  if (truth.channels)
    [drift, most] = withChannels(truth, candidate, loss, inFloat64 ? unit : null, dtype, [drift, most]);
  const proven = (inFloat64 || truth.noiseFloor <= UNPROVEN_NOISE) && (known > 0 || !expected.length);
  return {
    name,
    verdict: drift > (inFloat64 ? FILE_PASSING_DRIFT : PASSING_DRIFT) ? "drift" : proven ? "pass" : "unproven",
    drift,
    max_abs: most,
    relative_to_scale: most / truth.scale,
    sqnr_db: power && errorPower ? 10 * (Math.log10(power) - Math.log10(errorPower)) : null,
    cosine: ownPower && power ? product / (Math.sqrt(ownPower) * Math.sqrt(power)) : Number(errorPower === 0),
    introduced: null,
    inherited: null,
  };
}

/** @param {string} name @param {import("./verdict_table.js").Verdict} verdict @returns {OutputComparison} */
function uncompared(name, verdict) {
  return {
    name,
    verdict,
    drift: null,
    max_abs: null,
    relative_to_scale: null,
    sqnr_db: null,
    cosine: null,
    introduced: null,
    inherited: null,
  };
}

/**
 * @param {Truth} truth
 * @param {Values} candidate
 * @param {Numbers} result its sample
 * @param {boolean} inFloat64 where what overflows in float32 need not
 * @returns {boolean} whether it has NaN and infinity where the truth has, and nowhere else
 */
function sameNonfinite(truth, candidate, result, inFloat64) {
  let nonfinite = 0;
  for (const value of candidate.data) if (!Number.isFinite(value)) nonfinite++;
  const undefinedIn = Math.min(truth.nonfinite, truth.nonfiniteInFloat64);
  if (nonfinite < undefinedIn || nonfinite > truth.nonfinite) return false;
  return truth.sample.every((right, at) => {
    if (Number.isFinite(right)) return Number.isFinite(result[at]);
    return inFloat64 || Object.is(right, result[at]);
  });
}

/**
 * @param {Truth} truth
 * @param {Values} candidate
 * @param {Values | null} loss
 * @param {number | null} given the unit of all channels; else each has its own
 * @param {string} dtype
 * @param {[number, number]} found the drift and largest error of the sample
 * @returns {[number, number]} of all elements
 */
function withChannels(truth, candidate, loss, given, dtype, [drift, most]) {
  const known = /** @type {Float64Array} */ (truth.channels),
    channels = known.length / 5;
  const own = channelStatistics(candidate, truth.channelAxis),
    relative = Math.max(truth.noiseFloor, epsilonOf(dtype));
  const losses = loss && channelMaximum(loss, truth.shape.length, truth.channelAxis);
  for (let channel = 0; channel < channels; channel++) {
    const size = Math.max(Math.abs(known[2 * channels + channel]), Math.abs(known[3 * channels + channel]));
    const unit = given ?? Math.max(known[4 * channels + channel], relative * size, TINY);
    const lost = losses ? Math.max(unit, losses[losses.length === 1 ? 0 : channel]) : unit;
    for (let statistic = 0; statistic < 4; statistic++) {
      const moved = Math.abs(own[statistic * channels + channel] - known[statistic * channels + channel]);
      if (moved / lost > drift) drift = moved / lost;
      if (moved > most) most = moved;
    }
  }
  return [drift, most];
}

/** The error that counts as a drift of 1, in the tensor's own unit. @param {Truth} truth @param {string} dtype */
export function driftUnit(truth, dtype) {
  return Math.max(truth.noiseFloor, epsilonOf(dtype)) * truth.scale;
}

/** @param {Values} loss @param {Truth} truth @returns {Numbers} in the elements of the truth's sample */
export function sampledLoss(loss, truth) {
  if (loss.size === 1) return new Float64Array(truth.sample.length).fill(loss.data[0]);
  if (loss.size === sizeOf(truth.shape)) return sampled(truth, loss.data);
  return sampledBroadcast(loss, truth);
}

/** @param {Values} loss @param {Truth} truth @returns {Numbers} without making the whole tensor */
function sampledBroadcast(loss, truth) {
  const lacking = truth.shape.length - loss.rank,
    strides = stridesOf(loss.shape),
    places = placesIn(truth),
    out = new Float64Array(places.length);
  const steps = truth.shape.map((_, axis) =>
    axis < lacking || loss.shape[axis - lacking] === 1 ? 0 : strides[axis - lacking],
  );
  for (let each = 0; each < out.length; each++) {
    let rest = places[each],
      at = 0;
    for (let axis = steps.length - 1; axis >= 0 && rest; axis--) {
      at += (rest % truth.shape[axis]) * steps[axis];
      rest = Math.floor(rest / truth.shape[axis]);
    }
    out[each] = loss.data[at];
  }
  return out;
}

/**
 * What an operation of this natural scale may lose by one rounding, in the tensor's own unit.
 *
 * @param {Values} scale
 * @param {string} dtype
 * @returns {Values}
 */
export function roundingLoss(scale, dtype) {
  // Runtimes may flush what is smaller than a normal number to zero; 16-bit floats keep it.
  const least = dtype === "float16" ? 2 ** -24 : TINY,
    out = new Float64Array(scale.size);
  for (let at = 0; at < out.length; at++) out[at] = scale.data[at] * EPSILONS.float32 + least;
  return new Values(scale.shape, out);
}

/**
 * @param {Numbers} result
 * @param {Numbers} expected
 * @param {Numbers | number} [unit]
 * @param {Numbers | null} [where] only where this is finite
 * @returns {number} the largest difference, in multiples of `unit`: 0 between the same infinities or NaN, infinite between
 *     different ones
 */
export function largestError(result, expected, unit = 1, where = null) {
  let found = 0;
  for (let at = 0; at < result.length; at++) {
    if (where && !Number.isFinite(where[at])) continue;
    let error = Math.abs(result[at] - expected[at]);
    if (error !== error) error = Object.is(result[at], expected[at]) ? 0 : Infinity;
    const ratio = error / (typeof unit === "number" ? unit : unit[at]);
    if (ratio > found) found = ratio;
  }
  return found;
}

/**
 * @param {Truth} truth
 * @param {Values} value
 * @param {Numbers | number} [unit]
 * @returns {number} the largest error where the truth is finite
 */
export function errorFromTruth(truth, value, unit = 1) {
  return largestError(sampled(truth, value.data), truth.sample, unit, truth.sample);
}

/** @param {readonly OutputComparison[]} outputs none of which fails @returns {import("./verdict_table.js").Verdict} */
export function passingVerdict(outputs) {
  return outputs.some(({ verdict }) => verdict === "unproven") ? "unproven" : "pass";
}
