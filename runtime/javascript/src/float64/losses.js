// What the values of a graph may lose by rounding, followed from node to node through one walk.
//
// The rule of each operator is in `natural_scale.js`; this is the bookkeeping between them.

import { ScaledCall } from "./calls.js";
import { BFLOAT16, DOUBLE, FLOAT, FLOAT16 } from "./onnx_types.js";
import { OPERATORS, WEIGHTED } from "./operators.js";
import { EPSILON, ofSteps } from "./natural_scale.js";
import { Values, larger, map, scalar, zip } from "./values.js";

/** @typedef {import("./calls.js").Call} Call */
/** @typedef {import("./calls.js").Given} Given */
/** @typedef {import("./onnx_graph.js").Node} Node */

/**
 * Types in which a rounding costs more than in float32, and how many times as much.
 *
 * @type {ReadonlyMap<number, number>}
 */
const COARSE = new Map([
  [FLOAT16, 2 ** -10 / EPSILON],
  [BFLOAT16, 2 ** -7 / EPSILON],
]);
const FLOATS = new Set([FLOAT, DOUBLE, ...COARSE.keys()]);
/**
 * What a table may have lost, in multiples of epsilon times its largest value: sines of angles up to 2 pi lose that.
 */
const OF_TABLES = 4;

/**
 * The natural scale of an output; its tensors broadcast to it. What takes long is computed if asked.
 */
export class Scale {
  /**
   * @param {() => Values} compute
   * @param {(off: Map<string, number>) => Values} moved
   * @param {Values | null} [bound] what `own` is at least, where `own` takes as long as the operation
   */
  constructor(compute, moved, bound = null) {
    this.compute = compute;
    this.moved = moved;
    this.bound = bound;
    /** @type {Values | null} */
    this.known = null;
  }

  /** @param {Values} own @returns {Scale} of what is computed from no output */
  static of(own) {
    return new Scale(
      () => own,
      () => own,
    );
  }

  /** @returns {Values} what its own operation may lose in each element, given its inputs */
  get own() {
    this.known ??= this.compute();
    return this.known;
  }

  /** @param {Map<string, number>} off by output that it is computed from, by how much that is off @returns {Values} */
  withInputs(off) {
    return zip(this.own, this.moved(off), larger);
  }
}

/** Of integers and booleans, which are exact. */
export const NO_SCALE = Scale.of(scalar(0));

/**
 * @param {Node} node whether runtimes may compute it together with what precedes it: then what is recorded before it
 *   need not be what it was computed from
 */
const sharesKernel = (node) => !node.domain && OPERATORS.get(node.opType)?.alone === false;

/** What each value of a graph may have lost since the nearest outputs before it. */
export class Losses {
  /**
   * @param {ReadonlySet<string>} outputs what a runtime gave there is known, and counts as exact for most operations
   * @param {ReadonlyMap<string, number> | null} folded if the file is compared with the model itself: what its exporter
   *     may have lost in outputs that depend on no input. Then single numbers and tables count as rounded, nothing else
   */
  constructor(outputs, folded) {
    this.outputs = outputs;
    this.folded = folded;
    /** @type {Map<string, number>} */
    this.types = new Map();
    /** @type {Map<string, Scale>} */
    this.lost = new Map();
  }

  /** @param {string} name @param {Values} value @param {number} type @param {Node} user */
  addConstant(name, value, type, user) {
    this.types.set(name, type);
    if (!this.folded || !FLOATS.has(type)) return;
    let most = 0;
    for (const each of value.data) most = larger(most, Math.abs(each));
    let lost = 0;
    if (value.size === 1 && !isRound(value.data[0], type)) lost = Math.fround(most) * (COARSE.get(type) ?? 1);
    else if (value.size > 1 && sharesKernel(user)) lost = Math.fround(most) * OF_TABLES;
    if (lost) this.lost.set(name, Scale.of(scalar(lost)));
  }

  /** @param {string} name of a value that nothing uses any more */
  forget(name) {
    this.lost.delete(name);
  }

  /**
   * Return the scale of each result of a node, and remember it for the nodes that use it.
   *
   * @param {Call} call
   * @param {Values[]} results
   * @param {(inputs: Given[]) => Values[]} evaluate
   * @param {boolean} rounded whether the results are rounded to 16 bits already, so that nothing more is lost
   * @returns {Scale[]}
   */
  of(call, results, evaluate, rounded) {
    const { node } = call,
      exact = rounded || this.folded !== null,
      rounds = this.folded === null;
    const coarse = exact ? (this.computingType(node), 1) : (COARSE.get(this.computingType(node)) ?? 1);
    const inOne = sharesKernel(node) && rounds;
    const near = node.inputs.map((name) => {
      const scale = this.lost.get(name);
      return scale && (inOne || !this.outputs.has(name)) ? times(scale.own, 1 / coarse) : null;
    });
    // By how much an output is off is given later. Its scale would keep all tensors before it in memory.
    const before = node.inputs.map((name) => (this.outputs.has(name) ? undefined : this.lost.get(name)));
    return node.outputs.filter(Boolean).map((name, index) => {
      const output = results[index];
      if (!loses(output, near)) return NO_SCALE;
      const one = new ScaledCall(call, { lost: near, output, evaluate: (inputs) => evaluate(inputs)[index], rounds });
      const least = exact ? (this.folded?.get(name) ?? 0) / EPSILON : 0;
      const scale = this.scaleOf(one, before, output.isFloat ? coarse : 1, least);
      this.lost.set(name, scale);
      return scale;
    });
  }

  /**
   * @param {ScaledCall} call
   * @param {(Scale | undefined)[]} before
   * @param {number} coarse
   * @param {number} least
   * @returns {Scale}
   */
  scaleOf(call, before, coarse, least) {
    const bound =
      !call.rounds && !call.node.domain && WEIGHTED.has(call.node.opType)
        ? map(call.output, (each) => 2 * Math.abs(each))
        : null;
    const own = () => atLeast(times(naturalScale(call), coarse), least);
    const scale = new Scale(own, (off) => this.moved(call, before, coarse, off), bound);
    // Now, so that a node without one counts as one that can't be recomputed.
    if (!bound) void scale.own;
    return scale;
  }

  /**
   * @param {ScaledCall} call
   * @param {(Scale | undefined)[]} before
   * @param {number} coarse
   * @param {Map<string, number>} off
   * @returns {Values}
   */
  moved(call, before, coarse, off) {
    const lost = call.node.inputs.map((name, place) => {
      const known = this.outputs.has(name) ? scalar(off.get(name) ?? 0) : before[place]?.withInputs(off);
      return known ? times(known, 1 / coarse) : null;
    });
    return times(naturalScale(call.with({ lost })), coarse);
  }

  /**
   * @param {Node} node
   * @returns {number} ONNX's type in which it computes, its first input's unless it casts; 0 if not known
   */
  computingType(node) {
    const to = node.opType === "Cast" ? Number(node.attributes.get("to")?.value ?? 0) : 0;
    const like = node.opType === "CastLike" ? node.inputs.slice(1, 2) : node.inputs;
    const type = to || (like.map((name) => this.types.get(name) ?? 0).find((each) => FLOATS.has(each)) ?? 0);
    if (type) for (const name of node.outputs) this.types.set(name, type);
    return type;
  }
}

/** @param {Values} x @param {number} factor @returns {Values} nearly always by 1, without a copy */
const times = (x, factor) => (factor === 1 ? x : map(x, (each) => each * factor));
/**
 * @param {Values} x
 * @param {number} least
 * @returns {Values} of what isn't negative, without a copy where `least` is 0
 */
const atLeast = (x, least) => (least ? map(x, (each) => Math.max(each, least)) : x);

/** @param {ScaledCall} call @returns {Values} what each element of the output may lose, in multiples of epsilon */
export function naturalScale(call) {
  const rule = OPERATORS.get(call.node.opType)?.scale;
  if (!rule) throw new Error(`${call.node.opType} has no natural scale`);
  return call.output.isFloat ? ofNumbers(rule(call), call.output) : ofSteps(call);
}

/**
 * A scale, 0 where the output is infinite, as the scores that an attention's mask takes out: an infinite loss there would
 * be one of all that is computed from it, and allow any error. What isn't known of a number is its own size.
 *
 * @param {Values} scale
 * @param {Values} output
 * @returns {Values}
 */
function ofNumbers(scale, output) {
  // A sum is not finite where a number isn't, and makes no second array of what nearly always is.
  if (Number.isFinite(total(output.data)) && !Number.isNaN(total(scale.data))) return scale;
  return zip(output, scale, (value, each) => {
    if (Math.abs(value) === Infinity) return 0;
    return Number.isNaN(each) && !Number.isNaN(value) ? Math.abs(value) : each;
  });
}

/** @param {Float64Array | Float32Array} data */
function total(data) {
  let sum = 0;
  for (let place = 0; place < data.length; place++) sum += data[place];
  return sum;
}

/**
 * @param {Values} result
 * @param {Given[]} lost
 * @returns {boolean} whether it may lose anything: floats, and integers to which rounding numbers led
 */
function loses(result, lost) {
  if (result.isFloat) return true;
  return result.kind !== "bool" && lost.some((each) => each?.data.some(Boolean));
}

const BITS = new DataView(new ArrayBuffer(8));

/**
 * @param {number} value
 * @param {number} type
 * @returns {boolean} whether it is one that people write down exactly (100, 0.5): its last bits are 0
 */
function isRound(value, type) {
  if (type === FLOAT) BITS.setFloat32(0, value, true);
  else BITS.setFloat64(0, value, true);
  // A float16 as a double has 42 bits of 0 behind its own ten.
  if (type === FLOAT16) return ((BITS.getUint32(4, true) >>> 10) & 7) === 0;
  if (type === BFLOAT16) return ((BITS.getUint32(4, true) >>> 13) & 7) === 0;
  return (BITS.getUint8(0) & 255) === 0;
}
