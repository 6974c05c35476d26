// One evaluation of a node in float64, as operators and the rules of their natural scales take it.

import { schemaOf } from "./onnx_schemas.js";
import { NotComputed, Values, absolute, map, sameShape, scalar, zip } from "./values.js";

/** @typedef {import("./onnx_graph.js").Node} Node */
/** @typedef {Values | null} Given */

/** Float64 itself, and what is computed in it, loses less than this part of what float32 does. */
const IN_FLOAT64 = 2 ** -20;
/** Which turn whole steps into numbers. */
const FROM_STEPS = new Set(["Cast", "DequantizeLinear"]);

/**
 * A node with its inputs. Attributes have the defaults of the file's opset.
 */
export class Call {
  /**
   * @param {Node} node
   * @param {Given[]} inputs null for one that is omitted
   * @param {number} opset of ONNX's operators in the file
   */
  constructor(node, inputs, opset) {
    this.node = node;
    this.inputs = inputs;
    this.opset = opset;
  }

  /** @param {string} name @returns {any} */
  attribute(name) {
    return this.node.attributes.get(name)?.value ?? schemaOf(this.node.opType, this.opset)?.defaults[name];
  }

  /** @param {string} name @returns {number} 0 where it has none and no default */
  int(name) {
    return Number(this.attribute(name) ?? 0);
  }

  /** @param {string} name @returns {number} */
  float(name) {
    return Number(this.attribute(name) ?? 0);
  }

  /** @param {string} name @returns {string} */
  text(name) {
    return String(this.attribute(name) ?? "");
  }

  /** @param {string} name @returns {number[] | undefined} */
  ints(name) {
    const found = this.attribute(name);
    return Array.isArray(found) ? found : undefined;
  }

  /** @param {number} count @returns {Values[]} the first inputs, none of which may be omitted */
  given(count) {
    const found = [];
    for (const each of this.inputs.slice(0, count)) if (each) found.push(each);
    if (found.length < count) throw new NotComputed(`${this.node.opType} lacks an input`);
    return found;
  }

  /** @param {number} place @returns {number[] | undefined} a whole input as sizes, axes or indices */
  numbers(place) {
    return this.inputs[place]?.list();
  }
}

/**
 * A call with its result, for a natural scale. Losses are in multiples of float32's machine epsilon.
 */
export class ScaledCall extends Call {
  /**
   * @param {Call} call
   * @param {object} facts
   * @param {Given[]} facts.lost by input, what its elements may already have lost; it broadcasts; null where exact
   * @param {Values} facts.output one of its outputs
   * @param {(inputs: Given[]) => Values} facts.evaluate returns that output for other inputs of the same shapes
   * @param {boolean} facts.rounds whether the operation itself rounds; if not, its constants were rounded once
   */
  constructor(call, { lost, output, evaluate, rounds }) {
    super(call.node, call.inputs, call.opset);
    this.lost = lost;
    this.output = output;
    this.evaluate = evaluate;
    this.rounds = rounds;
  }

  /** @param {Partial<{ inputs: Given[], lost: Given[], output: Values }>} others @returns {ScaledCall} */
  with(others) {
    return Object.assign(Object.create(ScaledCall.prototype), this, others);
  }

  /** @param {number} place @returns {Values} an input's absolute values; 0 for one that is omitted */
  sizeOf(place) {
    const value = this.inputs[place];
    return value ? absolute(value) : scalar(0);
  }

  /** @returns {{ place: number, value: Values, lost: Values }[]} each input that isn't exact */
  losses() {
    const found = [];
    for (const [place, value] of this.inputs.entries()) {
      const lost = this.lost[place];
      // Other operators take integers as sizes and indices.
      if (value && lost && (value.isFloat || FROM_STEPS.has(this.node.opType))) found.push({ place, value, lost });
    }
    return found;
  }

  /**
   * @param {Values} scale
   * @returns {Values} nearly nothing if neither the operation nor an attribute of it is rounded
   */
  own(scale) {
    const hasNumber = [...this.node.attributes.values()].some(({ kind }) => kind === "float" || kind === "floats");
    return this.rounds || hasNumber ? scale : map(scale, (each) => each * IN_FLOAT64);
  }

  /** @param {Given[]} inputs @returns {Values} how far the output moves with them; 0 where they make another shape */
  change(inputs) {
    const moved = this.evaluate(inputs);
    return sameShape(moved.shape, this.output.shape) ? zip(moved, this.output, (a, b) => Math.abs(a - b)) : scalar(0);
  }
}
