// The ONNX file itself in float64: which outputs differ from the model by more than float32 constants explain.

import { Unknown } from "../float64/graph.js";
import { Values, larger, map, scalar, zip } from "../float64/values.js";
import { compareOutput, driftUnit, failed, largestError, roundingLoss, sampledLoss } from "./drift.js";
import { sampled } from "./truths.js";
import { FILE_PASSING_DRIFT } from "./verdict_table.js";

/** @typedef {import("../float64/graph.js").Float64Graph} Float64Graph */
/** @typedef {import("../float64/graph.js").Result} Result */
/** @typedef {import("../float64/losses.js").Scale} Scale */
/** @typedef {import("./drift.js").OutputComparison} OutputComparison */
/** @typedef {import("./truths.js").Reference} Reference */
/** @typedef {import("./truths.js").Truth} Truth */

/**
 * @typedef {object} FileValues
 * @property {OutputComparison[]} comparisons each output's value against the truth
 * @property {Map<string, string>} unknown outputs that can't be evaluated, each with the reason
 * @property {Map<string, number>} faults outputs at which the file is wrong though their inputs are right, each with its
 *     largest error there in the tensor's own unit: infinite where it can't be measured
 * @property {Map<string, Float64Array>} corrections for faults of the right shape: truth minus file's value, sampled
 * @property {Set<string>} unsampled faults that show in a channel's statistics only
 */

/** Of float32's own error, by channel: what float64 itself loses on the way through a model. */
const LEAST = 1e-4;
const EPSILON = 2 ** -23;

/**
 * @param {Float64Graph} graph
 * @param {Reference} reference
 * @param {ReadonlyMap<string, Values>} inputs
 * @param {ReadonlyMap<string, string>} dtypes by output, in which the model computed it
 * @returns {FileValues}
 */
export function evaluateFile(graph, reference, inputs, dtypes) {
  const judge = new FileJudge(graph, reference, inputs, dtypes),
    folded = new Map();
  for (const [name, sources] of graph.inputsOf) {
    const truth = reference.truths.get(name);
    if (!sources.length && truth) folded.set(name, truth.noiseFloor * truth.scale);
  }
  graph.walkJudging(inputs, (name, value, scale) => judge.judge(name, value, scale), folded);
  const places = new Map([...graph.inputsOf.keys()].map((name, place) => [name, place]));
  judge.file.comparisons.sort((one, other) => Number(places.get(one.name)) - Number(places.get(other.name)));
  return judge.file;
}

/** Judges the outputs of a file, one after the other. */
class FileJudge {
  /**
   * @param {Float64Graph} graph
   * @param {Reference} reference
   * @param {ReadonlyMap<string, Values>} inputs
   * @param {ReadonlyMap<string, string>} dtypes
   */
  constructor(graph, reference, inputs, dtypes) {
    /** @type {FileValues} */
    this.file = {
      comparisons: [],
      unknown: new Map(),
      faults: new Map(),
      corrections: new Map(),
      unsampled: new Set(),
    };
    this.graph = graph;
    this.reference = reference;
    this.inputs = inputs;
    this.dtypes = dtypes;
    /** The inputs, and outputs that are right. */
    this.known = new Set(inputs.keys());
    /** By output, by how much that is off, at most, in multiples of machine epsilon. @type {Map<string, number>} */
    this.off = new Map();
    /**
     * By output, by how much that or one before it is off, in multiples of what float32 is.
     *
     * @type {Map<string, number>}
     */
    this.share = new Map();
  }

  /**
   * @param {string} name
   * @param {Result} value
   * @param {Scale} scale
   * @returns {Result} what those after it are computed from
   */
  judge(name, value, scale) {
    const truth = this.reference.truths.get(name),
      dtype = this.dtypes.get(name) ?? "float32";
    if (value instanceof Unknown || !truth) {
      this.file.unknown.set(name, value instanceof Unknown ? value.reason : "it has no truth");
      return value;
    }
    /** @type {OutputComparison | null} */
    let found = null;
    let allowed = scalar(0);
    for (allowed of this.allowances(name, truth, scale, dtype)) {
      found = compareOutput(name, truth, value, dtype, { loss: allowed, inFloat64: true });
      if (!failed(found) || found.drift === null) break;
    }
    if (!found) return value;
    this.file.comparisons.push(found);
    if (failed(found) && this.inputsAreRight(name)) this.addFault(found, truth, value, allowed);
    if (!failed(found)) this.known.add(name);
    const off = found.max_abs ?? 0;
    this.off.set(name, off / EPSILON);
    this.share.set(name, Math.max(this.shareBefore(name), off / driftUnit(truth, dtype)));
    return value;
  }

  /**
   * Yield how far off the constants of float32 may make an output, first by what is known at once.
   *
   * @param {string} name
   * @param {Truth} truth
   * @param {Scale} scale
   * @param {string} dtype
   * @returns {Generator<Values>}
   */
  *allowances(name, truth, scale, dtype) {
    const before = this.sources(name).filter((each) => !this.inputs.has(each));
    if (![name, ...before].every((each) => this.graph.single.has(each))) {
      // Of several operations, as float32's own error tells.
      yield scalar(driftUnit(truth, dtype));
      return;
    }
    const noise = noiseOf(truth),
      allowed = zip(
        map(noise, (each) => LEAST * each),
        roundingLoss(scale.own, "float32"),
        larger,
      );
    yield allowed;
    if (this.inputsAreRight(name)) {
      // Right only so far, which shows where what they are off by is amplified, or only passed on.
      const fromInputs = roundingLoss(scale.withInputs(this.off), "float32"),
        share = this.shareBefore(name);
      yield zip(
        allowed,
        zip(
          fromInputs,
          map(noise, (each) => share * each),
          larger,
        ),
        larger,
      );
    }
  }

  /** @param {string} name @returns {string[]} */
  sources(name) {
    return this.graph.inputsOf.get(name) ?? [];
  }

  /** @param {string} name @returns {number} */
  shareBefore(name) {
    return Math.max(0, ...this.sources(name).map((each) => this.share.get(each) ?? 0));
  }

  /** @param {string} name @returns {boolean} */
  inputsAreRight(name) {
    return this.sources(name).every((each) => this.known.has(each));
  }

  /** @param {OutputComparison} found @param {Truth} truth @param {Values} value @param {Values} allowed */
  addFault(found, truth, value, allowed) {
    const { faults, corrections, unsampled } = this.file;
    faults.set(found.name, Infinity);
    if (value.shape.join() !== truth.shape.join()) return;
    const own = sampled(truth, value.data),
      correction = truth.sample.map((right, at) => right - own[at]);
    corrections.set(found.name, correction);
    if (found.max_abs === null) return;
    faults.set(found.name, found.max_abs);
    const none = new Float64Array(correction.length);
    if (largestError(correction, none, sampledLoss(allowed, truth)) <= FILE_PASSING_DRIFT) unsampled.add(found.name);
  }
}

/** @param {Truth} truth @returns {Values} float32's own error, by channel where that is known; it broadcasts */
function noiseOf(truth) {
  if (!truth.channels || truth.channelAxis === null) return scalar(truth.noiseFloor * truth.scale);
  const channels = truth.channels.length / 5;
  const shape = truth.shape.map((_, axis) => (axis === truth.channelAxis ? channels : 1));
  return new Values(shape, truth.channels.subarray(4 * channels));
}
