// An artifact's ONNX graph in float64, output by output, also on the very tensors that a runtime computed.
//
// This separates the error that an operation introduced from the error that it inherited. Judging is in `verdict/`.

import { Call } from "./calls.js";
import { Losses, NO_SCALE } from "./losses.js";
import { EPSILON, generator } from "./natural_scale.js";
import { reads } from "./onnx_graph.js";
import { NEWEST_OPSET } from "./onnx_schemas.js";
import { BFLOAT16, FLOAT16, TYPES } from "./onnx_types.js";
import { OPERATORS } from "./operators.js";
import { roundedTo } from "./sizes.js";
import { NotComputed, Values, zip } from "./values.js";

/** @typedef {import("./losses.js").Scale} Scale */
/** @typedef {import("./onnx_graph.js").Node} Node */
/** @typedef {ReadonlyMap<string, Values>} Arrays by name */

/** Stands for an output that can't be recomputed. */
export class Unknown {
  /** @param {string} reason */
  constructor(reason) {
    this.reason = reason;
  }
}

/** @typedef {Values | Unknown} Result */
/** @typedef {{ name: string, value: Result, scale: Scale }} Step an output in the order of execution */
/** @typedef {(name: string, value: Result, scale: Scale) => Result} PassedOn what the nodes that use an output get */

const STEP_KEY = "layerprobe.name",
  SIZE_NODE = "size::",
  OLDEST_OPSET = 7;

export class Float64Graph {
  /**
   * @param {import("./onnx_graph.js").OnnxModel} model
   * @param {readonly string[]} outputs in the order of execution
   * @param {object} [options]
   * @param {boolean} [options.rounds] whether a Cast to 16 bits that belongs to no step of the model rounds
   * @param {boolean} [options.averaged] whether the outputs are means of what the operations return
   * @throws {NotComputed} the file doesn't compute one of the outputs
   */
  constructor({ graph, opsets }, outputs, { rounds = false, averaged = false } = {}) {
    this.opset = opsets.get("") ?? 0;
    this.outputs = new Set(outputs);
    this.rounds = rounds;
    this.weights = new Map(graph.weights);
    this.nodes = graph.nodes.filter((node) => !this.keepAsWeight(node));
    const given = graph.inputs.filter(({ name }) => !this.weights.has(name));
    this.inputs = given.map(({ name }) => name);
    this.inputTypes = new Map(given.map(({ name, type }) => [name, type]));
    const producers = new Map(
      this.nodes.flatMap((node, index) => node.outputs.filter(Boolean).map((name) => [name, index])),
    );
    const absent = outputs.find((name) => !producers.has(name));
    if (absent !== undefined)
      throw new NotComputed(`the ONNX file does not compute ${absent}, which the manifest lists`);
    const needs = this.nodes.map(reads),
      named = new Set([...outputs, ...this.inputs]);
    const found = new Map(outputs.map((name) => [name, nearestValues(name, producers, needs, named)]));
    /** By output: the nearest outputs and inputs of the model that it is computed from, in order. */
    this.inputsOf = new Map([...found].map(([name, { nearest }]) => [name, nearest]));
    /** By output: the model's operations between those and it. @type {Map<string, string[]>} */
    this.unexported = new Map(
      [...found].map(([name, { between }]) => [
        name,
        operationsOf(
          between.map((index) => this.nodes[index]),
          named,
        ),
      ]),
    );
    /** The outputs that a single operation computes from those. */
    this.single = new Set(averaged ? [] : outputs.filter((name) => !this.unexported.get(name)?.length));
    this.scaled = new Set();
    for (const name of this.single) {
      for (const index of [...(found.get(name)?.between ?? []), Number(producers.get(name))]) {
        for (const output of this.nodes[index].outputs) this.scaled.add(output);
      }
    }
    this.steps = scheduled(this.nodes, needs, producers, outputs);
  }

  /**
   * A node of a constant is a weight of the graph: as this, it was rounded to its type.
   *
   * @param {Node} node
   * @returns {boolean}
   */
  keepAsWeight(node) {
    const value = node.attributes.get("value");
    if (node.opType !== "Constant" || node.domain || value?.kind !== "tensor" || this.outputs.has(node.outputs[0]))
      return false;
    this.weights.set(node.outputs[0], value.value);
    return true;
  }

  /**
   * Yield every output with its float64 value.
   *
   * @param {Arrays} inputs of the model
   * @param {Arrays} [forced] by output, what a runtime computed: nodes that use it get this in place of what was yielded,
   *     so an error shows only where it arises
   */
  walk(inputs, forced = new Map()) {
    return this.steppedThrough(inputs, given(forced), null);
  }

  /** Yield the same with the natural scale of each output. @param {Arrays} inputs @param {Arrays} [forced] */
  walkWithScales(inputs, forced = new Map()) {
    return this.steppedThrough(inputs, given(forced), new Losses(this.outputs, null));
  }

  /**
   * Compute every output, where the nodes that use it get what `judge` returns for it.
   *
   * @param {Arrays} inputs
   * @param {PassedOn} judge
   * @param {ReadonlyMap<string, number>} folded what the exporter may have lost in outputs that depend on no input
   */
  walkJudging(inputs, judge, folded) {
    for (const _ of this.steppedThrough(inputs, judge, new Losses(this.outputs, folded))) void _;
  }

  /**
   * Yield what `walk` does where each operation errs, at random, by up to one rounding of its scale.
   *
   * @param {Arrays} inputs
   * @param {number} seed
   * @param {Arrays} [forced] passed on as it is
   * @returns {Generator<Step>}
   */
  *shakenWalk(inputs, seed, forced = new Map()) {
    const random = generator(seed),
      apart = (/** @type {number} */ value, /** @type {number} */ scale) =>
        value + (2 * random() - 1) * EPSILON * scale;
    /** @type {PassedOn} */
    const shaken = (_, value, scale) =>
      value instanceof Unknown || !value.isFloat ? value : zip(value, scale.own, apart);
    /** @type {PassedOn} */
    const passedOn = (name, value, scale) => forced.get(name) ?? shaken(name, value, scale);
    for (const { name, value, scale } of this.steppedThrough(inputs, passedOn, new Losses(this.outputs, null))) {
      yield { name, value: shaken(name, value, scale), scale };
    }
  }

  /** @param {Arrays} inputs @param {PassedOn} passedOn @param {Losses | null} losses @returns {Generator<Step>} */
  *steppedThrough(inputs, passedOn, losses) {
    /** @type {Map<string, Result>} */
    const values = new Map();
    for (const name of this.inputs) {
      const value = inputs.get(name);
      if (!value) throw new NotComputed(`the model takes ${this.inputs.join(", ")}; ${name} is missing`);
      values.set(name, value);
      losses?.types.set(name, this.inputTypes.get(name) ?? 0);
    }
    /** @type {Map<string, Step>} */
    const finished = new Map();
    for (const { node, needs, doneWith, completes } of this.steps) {
      const { results, scales } = this.computed(node, needs, values, losses);
      node.outputs.filter(Boolean).forEach((name, index) => {
        const value = results[index],
          scale = scales[index];
        values.set(name, value);
        if (this.outputs.has(name)) {
          finished.set(name, { name, value, scale });
          values.set(name, passedOn(name, value, scale));
        }
      });
      for (const name of doneWith) {
        values.delete(name);
        losses?.forget(name);
      }
      for (const name of completes) {
        const step = finished.get(name);
        if (step) yield step;
        finished.delete(name);
      }
    }
  }

  /**
   * @param {Node} node
   * @param {readonly string[]} needs
   * @param {ReadonlyMap<string, Result>} values
   * @param {Losses | null} losses
   * @returns {{ results: Result[], scales: Scale[] }} one for each output that has a name
   */
  computed(node, needs, values, losses) {
    const names = node.outputs.filter(Boolean),
      scales = names.map(() => NO_SCALE);
    try {
      const inputs = new Map();
      for (const name of needs) {
        const value = values.get(name) ?? this.weight(name, node, losses);
        if (value instanceof Unknown) return { results: names.map(() => value), scales };
        inputs.set(name, value);
      }
      const places = node.inputs.map((name) => (name ? inputs.get(name) : null));
      /** @param {(Values | null)[]} others */
      const evaluate = (others) => this.evaluated(node, others);
      const results = evaluate(places);
      if (!losses || !names.some((name) => this.scaled.has(name))) return { results, scales };
      return {
        results,
        scales: losses.of(new Call(node, places, this.opset), results, evaluate, this.roundedType(node) !== null),
      };
    } catch (error) {
      // What a faulty file leads to has many types, such as a RangeError for a size.
      const reason = error instanceof Error ? error.message : String(error);
      return {
        results: names.map(() => new Unknown(`${plain(node.opType)} can't be recomputed: ${plain(reason)}`)),
        scales,
      };
    }
  }

  /** @param {Node} node @param {(Values | null)[]} inputs @returns {Values[]} */
  evaluated(node, inputs) {
    const operator = node.domain ? undefined : OPERATORS.get(node.opType);
    if (!operator)
      throw new NotComputed(`${node.domain ? `${node.domain}.` : ""}${node.opType} is not computed in JavaScript`);
    if (this.opset > NEWEST_OPSET || this.opset < OLDEST_OPSET)
      throw new NotComputed(`opset ${this.opset} is not from ${OLDEST_OPSET} to ${NEWEST_OPSET}`);
    const results = operator.compute(new Call(node, inputs, this.opset)),
      type = this.roundedType(node);
    return type ? results.map((each) => roundedTo(each, type)) : results;
  }

  /** @param {Node} node @returns {string | null} the type of 16 bits to which an inserted cast rounds */
  roundedType(node) {
    const to = Number(node.attributes.get("to")?.value);
    const narrow =
      this.rounds && node.opType === "Cast" && (to === FLOAT16 || to === BFLOAT16) && !node.metadata.has(STEP_KEY);
    return narrow ? (TYPES.get(to)?.dtype ?? null) : null;
  }

  /** @param {string} name @param {Node} user @param {Losses | null} losses @returns {Values} */
  weight(name, user, losses) {
    const tensor = this.weights.get(name);
    if (!tensor) throw new NotComputed(`nothing computes ${name}`);
    // Read each time: kept as doubles, all weights would take three times the file's size.
    const value = tensor.read();
    losses?.addConstant(name, value, tensor.type, user);
    return value;
  }
}

/** @param {string} text @returns {string} of a file: bounded, without control characters */
const plain = (text) => text.replace(/[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/gu, "?").slice(0, 300);

/** @param {Arrays} forced @returns {PassedOn} */
const given = (forced) => (name, value) => forced.get(name) ?? value;

/**
 * @param {string} output
 * @param {ReadonlyMap<string, number>} producers by value, the number of the node that computes it
 * @param {readonly string[][]} needs by node
 * @param {ReadonlySet<string>} named where the search ends
 * @returns {{ nearest: string[], between: number[] }} the nearest of the named values that it is computed from, and the nodes in between
 */
export function nearestValues(output, producers, needs, named) {
  const nearest = new Set(),
    seen = new Set(),
    waiting = [...needs[Number(producers.get(output))]].reverse();
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (named.has(name)) nearest.add(name);
    else if (producers.has(name) && !seen.has(name)) {
      seen.add(name);
      waiting.push(...[...needs[Number(producers.get(name))]].reverse());
    }
  }
  const between = new Set([...seen].map((name) => Number(producers.get(name))));
  return { nearest: [...nearest], between: [...between].sort((one, other) => one - other) };
}

/**
 * @param {Node[]} nodes
 * @param {ReadonlySet<string>} named
 * @returns {string[]} the operations that these nodes belong to
 */
function operationsOf(nodes, named) {
  const found = nodes
    .filter(({ name }) => !name.startsWith(SIZE_NODE))
    .map(({ name, metadata }) => {
      // Where another tool has removed the metadata, by the name: the export calls a node `operation/Conv::6`.
      return metadata.get(STEP_KEY) ?? name.slice(0, Math.max(0, name.lastIndexOf("/")));
    });
  return [...new Set(found)].filter((operation) => operation && !named.has(operation));
}

/**
 * @param {readonly Node[]} nodes
 * @param {readonly string[][]} needs
 * @param {ReadonlyMap<string, number>} producers
 * @param {readonly string[]} outputs
 * @returns {{ node: Node, needs: string[], doneWith: string[], completes: string[] }[]} the nodes, each as late as the
 *     outputs' order allows, so that little is in memory
 */
function scheduled(nodes, needs, producers, outputs) {
  /** @type {number[]} */
  const order = [],
    placed = new Set(),
    completes = new Map();
  for (const output of outputs) {
    const waiting = [Number(producers.get(output))],
      missing = new Set();
    for (let index = waiting.pop(); index !== undefined; index = waiting.pop()) {
      if (placed.has(index) || missing.has(index)) continue;
      missing.add(index);
      for (const name of needs[index]) if (producers.has(name)) waiting.push(Number(producers.get(name)));
    }
    // ONNX lists nodes in an order in which they can be computed.
    for (const index of [...missing].sort((one, other) => one - other)) {
      order.push(index);
      placed.add(index);
    }
    const last = order[order.length - 1];
    completes.set(last, [...(completes.get(last) ?? []), output]);
  }
  const lastUse = new Map(order.flatMap((index) => needs[index].map((name) => [name, index])));
  return order.map((index) => ({
    node: nodes[index],
    needs: needs[index],
    doneWith: [
      ...needs[index].filter((name) => lastUse.get(name) === index),
      ...nodes[index].outputs.filter((name) => name && !lastUse.has(name)),
    ],
    completes: completes.get(index) ?? [],
  }));
}
