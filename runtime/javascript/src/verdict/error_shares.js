// Where a runner's error comes from: what each operation introduced itself, and what it inherited with its inputs.
//
//     result - truth  =  (result - expected)  +  (expected - truth)
//     the error       =  what was introduced  +  what was inherited
//
// where the expected value is what the ONNX file computes in float64 from the very inputs that the operation got in that
// runner. Where the file itself is wrong, `expected + truth - file's value` takes its place: the fault is in both.

import { Unknown } from "../float64/graph.js";
import { Values, eachRow, map, scalar } from "../float64/values.js";
import { compareOutput, driftUnit, errorFromTruth, failed, largestError, roundingLoss, sampledLoss } from "./drift.js";
import { SHAKEN } from "./missing_tensors.js";
import { ofSample, sampled } from "./truths.js";
import { PASSING_ERROR } from "./verdict_table.js";

/** @typedef {import("../float64/graph.js").Float64Graph} Float64Graph */
/** @typedef {import("../float64/losses.js").Scale} Scale */
/** @typedef {import("./drift.js").OutputComparison} OutputComparison */
/** @typedef {import("./file_values.js").FileValues} FileValues */
/** @typedef {import("./missing_tensors.js").PartialRun} PartialRun */
/** @typedef {import("./truths.js").Numbers} Numbers */
/** @typedef {import("./truths.js").Reference} Reference */
/** @typedef {import("./truths.js").Truth} Truth */
/** @typedef {ReadonlyMap<string, Values>} Arrays */

/**
 * @typedef {object} ErrorShare an operation that makes NaN or infinity introduced an infinite error
 * @property {number} introduced in multiples of what the operation may lose, in the element where that is largest
 * @property {number} inherited in the unit of the drift, in each element
 */

/**
 * @typedef {object} SplitError
 * @property {OutputComparison} comparison
 * @property {ErrorShare | null} share null where it isn't known
 * @property {Values | null} loss what the operation may lose in each element
 * @property {string | null} unknown why float64 can't compute it here, if it can't
 */

/**
 * Yield each output of a runner compared with its truth, in the order of execution.
 *
 * @param {Float64Graph} graph
 * @param {Reference} reference
 * @param {Arrays} inputs
 * @param {FileValues} file
 * @param {Arrays} arrays what the runner returned
 * @param {ReadonlyMap<string, string>} dtypes
 * @param {PartialRun} part what is known of the outputs that aren't there
 * @returns {Generator<SplitError>}
 */
export function* sharesOfError(graph, reference, inputs, file, arrays, dtypes, part) {
  const wrong = new Set(),
    wrongInFile = new Set(file.comparisons.filter(failed).map(({ name }) => name));
  for (const { name, value, scale } of graph.walkWithScales(inputs, arrays)) {
    const isSample = !arrays.has(name) && part.samples.has(name),
      sources = graph.inputsOf.get(name) ?? [];
    const result = arrays.get(name) ?? part.samples.get(name) ?? null,
      whole = reference.truths.get(name),
      dtype = dtypes.get(name) ?? "float32";
    const inputsRight = !sources.some((each) => wrong.has(each));
    if (!result || !whole) {
      if (!inputsRight) wrong.add(name);
      continue;
    }
    const truth = isSample ? ofSample(whole) : whole;
    const comparable = dtype !== "float64" && result.shape.join() === truth.shape.join();
    const known = comparable && value instanceof Values && value.shape.join() === whole.shape.join();
    let loss = known ? lossOf(name, scale, truth, dtype, graph, part) : null;
    /** @type {SplitError} */
    let split;
    if (!(value instanceof Values) || !loss || !spreads(loss, whole.shape)) {
      const unknown = value instanceof Unknown ? value.reason : null;
      split = { comparison: compareOutput(name, truth, result, dtype), share: null, loss: null, unknown };
    } else {
      let expected = value;
      if (isSample) {
        expected = flat(sampled(whole, value.data));
        loss = flat(sampledLoss(loss, whole));
      }
      const found = compareOutput(name, truth, result, dtype, { loss });
      const anotherFault = wrongInFile.has(name) && inputsRight;
      let share = shareOf(result, expected, loss, truth, dtype, file.corrections.get(name), anotherFault);
      if (found.verdict === "nonfinite" && share) {
        const aroseHere = file.faults.get(name) === Infinity || isNumberBeyond(result, expected);
        share = aroseHere ? { ...share, introduced: Infinity } : share;
      }
      if (file.unsampled.has(name) && failed(found) && share)
        share = { ...share, introduced: Math.max(share.introduced, found.drift ?? 0) };
      if (inputsRight && part.absentBefore.get(name)?.some((each) => file.faults.has(each))) {
        // Where the file is wrong, nothing is there: only the truth tells whether the runner shares that.
        share = { introduced: errorFromTruth(truth, result, sampledLoss(loss, truth)), inherited: 0 };
      }
      split = { comparison: found, share, loss, unknown: null };
    }
    if (failed(split.comparison) || (split.share && split.share.introduced > PASSING_ERROR)) wrong.add(name);
    yield split;
  }
}

/**
 * Whether a result is a number where what it is computed from makes NaN or infinity.
 *
 * @param {Values} result
 * @param {Values} expected of the same shape
 */
const isNumberBeyond = ({ data }, expected) =>
  data.some((each, at) => Number.isFinite(each) && !Number.isFinite(expected.data[at]));

/** @param {Numbers} data @returns {Values} */
const flat = (data) => new Values([data.length], data);

/**
 * @param {Values} loss
 * @param {readonly number[]} shape
 * @returns {boolean} whether it is one of a tensor of this shape: not where an input of another batch had a part in it
 */
function spreads(loss, shape) {
  const lacking = shape.length - loss.rank;
  return lacking >= 0 && loss.shape.every((size, axis) => size === 1 || size === shape[axis + lacking]);
}

/**
 * @param {string} name
 * @param {Scale} scale
 * @param {Truth} truth
 * @param {string} dtype
 * @param {Float64Graph} graph
 * @param {PartialRun} part
 * @returns {Values} what an output may lose in each element, given the tensors that it is computed from
 */
function lossOf(name, scale, truth, dtype, graph, part) {
  const unit = driftUnit(truth, dtype),
    loss = graph.single.has(name) ? roundingLoss(scale.own, dtype) : scalar(unit);
  // Several operations at once: what they may lose together, or what float32 does.
  if (part.absentBefore.has(name)) return map(loss, (each) => Math.max(each + (part.losses.get(name) ?? 0), unit));
  // Integers lose nothing but a step at a tie; and a constant is what the exporter may have computed.
  if (dtype.includes("float") && graph.inputsOf.get(name)?.length) return loss;
  return map(loss, (each) => Math.max(each, unit));
}

/**
 * Return how far outputs move where every operation errs by up to one rounding of its own: PyTorch may lose nothing where
 * another runtime may.
 *
 * @param {Float64Graph} graph
 * @param {Reference} reference
 * @param {Arrays} inputs
 * @param {readonly string[]} names
 * @returns {Map<string, number>}
 */
export function accumulatedLosses(graph, reference, inputs, names) {
  const moved = new Map(names.map((name) => [name, 0]));
  for (let seed = 0; seed < SHAKEN; seed++) {
    for (const { name, value } of graph.shakenWalk(inputs, seed)) {
      const truth = reference.truths.get(name),
        before = moved.get(name);
      if (before === undefined || !truth || value instanceof Unknown || value.shape.join() !== truth.shape.join())
        continue;
      moved.set(name, Math.max(before, errorFromTruth(truth, value)));
    }
  }
  return moved;
}

/**
 * @param {Values} result what the runner returned
 * @param {Values} value what the file gives in float64 for the inputs that the runner had there
 * @param {Values} loss
 * @param {Truth} truth of the model
 * @param {string} dtype
 * @param {Float64Array | undefined} correction truth minus file's value, sampled, if the file is wrong here
 * @param {boolean} anotherFault whether the file is wrong here or before, and the runner's inputs are right all the same
 * @returns {ErrorShare | null}
 */
function shareOf(result, value, loss, truth, dtype, correction, anotherFault) {
  // Where eager PyTorch itself has NaN or infinity, the error has no size.
  const unit = driftUnit(truth, dtype),
    held = asHeld(value, dtype),
    exact = truth.sample,
    own = sampled(truth, held.data),
    lost = sampledLoss(loss, truth),
    ofDrift = lost.map((each) => Math.max(each, unit));
  let introduced = 0,
    inherited = 0;
  if (!correction && !anotherFault) {
    inherited = largestError(own, exact, ofDrift, exact);
    introduced = largestIntroduced(result, held, loss);
  } else {
    // What is known of the fault is known in the sample only.
    const given = sampled(truth, result.data);
    let expected = own,
      mayLose = lost;
    if (correction) {
      expected = own.map((each, at) => (Number.isFinite(correction[at]) ? each + correction[at] : exact[at]));
      // Measured at the right inputs: the fault may also scale what is off in those that the runner had.
      const fault =
        correction.reduce((most, each) => (Number.isFinite(each) ? Math.max(most, Math.abs(each)) : most), 0) /
        truth.scale;
      mayLose = lost.map((each, at) => each + fault * Math.abs(expected[at] - exact[at]));
    }
    inherited = largestError(expected, exact, ofDrift, exact);
    introduced = largestError(given, expected, mayLose, exact);
    // A runner that doesn't share the fault, or shares another one only, is nearer to the truth itself.
    const allowed = correction ? mayLose : mayLose.map((each) => Math.max(each, unit));
    const fromTruth = largestError(given, exact, allowed, exact);
    if (anotherFault && fromTruth < introduced) [introduced, inherited] = [fromTruth, 0];
  }
  return Number.isNaN(introduced + inherited) ? null : { introduced, inherited };
}

/** @param {Values} result @param {Values} expected @param {Values} loss @returns {number} */
function largestIntroduced(result, expected, loss) {
  let found = 0;
  eachRow(expected.shape, [loss.shape], (at, length, [from], [step]) => {
    for (let k = 0; k < length; k++) {
      const right = expected.data[at + k];
      let error = Math.abs(result.data[at + k] - right);
      // Whether an overflow becomes infinity or NaN depends on the order of the additions.
      if (!Number.isFinite(error)) error = Number.isFinite(right) ? Infinity : 0;
      const ratio = error / loss.data[from + k * step];
      if (ratio > found) found = ratio;
    }
  });
  return found;
}

/** @type {Record<string, number>} the largest number by type */
const LARGEST = { float16: 65504, float32: (2 - 2 ** -23) * 2 ** 127, bfloat16: (2 - 2 ** -23) * 2 ** 127 };

/** @param {Values} value @param {string} dtype @returns {Values} infinite where it exceeds that type's range */
function asHeld(value, dtype) {
  const limit = LARGEST[dtype];
  if (limit === undefined || !exceeds(value.data, limit)) return value;
  return map(value, (each) => (Math.abs(each) > limit ? Math.sign(each) * Infinity : each));
}

/** @param {Numbers} data @param {number} limit @returns {boolean} */
function exceeds(data, limit) {
  for (const each of data) if (each > limit || each < -limit) return true;
  return false;
}
