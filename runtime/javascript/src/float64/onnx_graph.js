// An ONNX file -> its nodes, weights and inputs, by the numbers of ONNX's own messages (onnx.proto). It reads and never
// runs anything; operators are in `operators.js`.

import { externalPlace, textEntry } from "../onnx_file.js";
import { NotMessage, enumValue, fields, floats, integer, integers, text } from "../protobuf.js";
import { TYPES } from "./onnx_types.js";
import { NotComputed, Values, sizeOf } from "./values.js";

/** @typedef {(location: string) => Uint8Array} Beside returns a file of weights beside the model */

/**
 * @typedef {object} Attribute
 * @property {"float" | "int" | "string" | "tensor" | "graph" | "floats" | "ints" | "strings" | "other"} kind
 * @property {any} value a number, a text, a list of them, a `Tensor`, a `Graph`
 */

/**
 * @typedef {object} Node
 * @property {string} name
 * @property {string} opType
 * @property {string} domain empty of ONNX's own operators
 * @property {string[]} inputs empty for one that is omitted
 * @property {string[]} outputs
 * @property {Map<string, Attribute>} attributes
 * @property {Map<string, string>} metadata
 */

/**
 * @typedef {object} Graph
 * @property {Node[]} nodes
 * @property {Map<string, Tensor>} weights
 * @property {{ name: string, type: number }[]} inputs with ONNX's number of their type; 0 of what is no tensor
 * @property {string[]} outputs
 */

/**
 * @typedef {object} OnnxModel
 * @property {Graph} graph
 * @property {Map<string, number>} opsets by domain; ONNX's own is empty
 */

const DEEPEST = 16;

/** A constant tensor, whose elements are read when they are needed. */
export class Tensor {
  /** @param {Uint8Array} bytes of its message @param {Beside} beside */
  constructor(bytes, beside) {
    this.name = "";
    /** @type {number[]} */
    this.shape = [];
    this.type = 0;
    this.beside = beside;
    /** @type {Uint8Array | null} */
    this.raw = null;
    /** @type {number[][]} in pieces, as they are packed */
    this.listed = [];
    this.place = externalPlace(bytes);
    for (const field of fields(bytes)) {
      if (field.number === 1) this.shape.push(...integers(field));
      else if (field.number === 2) this.type = enumValue(field);
      else if (field.number === 4) this.listed.push(floats(field));
      else if (field.number === 5 || field.number === 7 || field.number === 11) this.listed.push(integers(field));
      else if (field.number === 8) this.name = text(field);
      else if (field.number === 9) this.raw = field.bytes;
      else if (field.number === 10) this.listed.push(doubles(field.bytes));
    }
  }

  /** @returns {string} NumPy's name of its type */
  get dtype() {
    return TYPES.get(this.type)?.dtype ?? `type ${this.type}`;
  }

  /** @returns {Uint8Array | null} its elements' bytes, little-endian; null where they are listed as numbers */
  bytes() {
    if (!this.place) return this.raw;
    const whole = this.beside(this.place.get("location") ?? ""),
      begin = Number(this.place.get("offset") ?? 0);
    const length = this.place.has("length") ? Number(this.place.get("length")) : whole.length - begin;
    if (!(begin >= 0 && length >= 0 && begin + length <= whole.length))
      throw new NotMessage(`the weight ${this.name} reaches beyond its file`);
    return whole.subarray(begin, begin + length);
  }

  /** @returns {Values} floats of 32 bits as they are, of 16 bits as doubles */
  read() {
    const type = TYPES.get(this.type),
      count = sizeOf(this.shape),
      raw = this.bytes();
    if (!type) throw new NotComputed(`constants of ONNX's type ${this.type} are not known`);
    if (
      raw ? raw.length !== count * type.bytes : this.listed.reduce((total, each) => total + each.length, 0) !== count
    ) {
      throw new NotMessage(`the elements of ${this.name} don't fit its shape`);
    }
    if (!raw) {
      const bits = this.listed.flat(),
        small = type.bytes === 2 && type.kind === "float64";
      const view = new DataView(new ArrayBuffer(2));
      const data = Float64Array.from(bits, (each) =>
        small ? (view.setUint16(0, each, true), type.read(view, 0)) : each,
      );
      return new Values(this.shape, data, type.kind);
    }
    if (type.dtype === "float32") return new Values(this.shape, new Float32Array(raw.slice().buffer), type.kind);
    const data = new Float64Array(count),
      view = new DataView(raw.buffer, raw.byteOffset, raw.length);
    for (let place = 0; place < count; place++) data[place] = type.read(view, place * type.bytes);
    return new Values(this.shape, data, type.kind);
  }
}

/** @param {Uint8Array} bytes */
function doubles(bytes) {
  return Array.from(new Float64Array(bytes.slice().buffer));
}

/**
 * @param {Uint8Array} bytes of the file
 * @param {Beside} beside
 * @returns {OnnxModel}
 * @throws {NotMessage} it is not an ONNX model
 */
export function readOnnx(bytes, beside) {
  /** @type {Graph | null} */
  let graph = null;
  const opsets = new Map();
  for (const field of fields(bytes)) {
    if (field.number === 7) graph = readGraph(field.bytes, beside, 0);
    if (field.number === 8) {
      let domain = "",
        version = 0;
      for (const part of fields(field.bytes)) {
        if (part.number === 1) domain = text(part);
        if (part.number === 2) version = integer(part);
      }
      opsets.set(domain === "ai.onnx" ? "" : domain, version);
    }
  }
  if (!graph) throw new NotMessage("it has no graph");
  return { graph, opsets };
}

/** @param {Uint8Array} bytes @param {Beside} beside @param {number} depth @returns {Graph} */
function readGraph(bytes, beside, depth) {
  if (depth > DEEPEST) throw new NotMessage("its graphs are nested too deeply");
  /** @type {Graph} */
  const graph = { nodes: [], weights: new Map(), inputs: [], outputs: [] };
  for (const field of fields(bytes)) {
    if (field.number === 1) graph.nodes.push(readNode(field.bytes, beside, depth));
    else if (field.number === 5) {
      const tensor = new Tensor(field.bytes, beside);
      graph.weights.set(tensor.name, tensor);
    } else if (field.number === 11) graph.inputs.push(readValue(field.bytes));
    else if (field.number === 12) graph.outputs.push(readValue(field.bytes).name);
  }
  return graph;
}

/** @param {Uint8Array} bytes */
function readValue(bytes) {
  let name = "",
    type = 0;
  for (const field of fields(bytes)) {
    if (field.number === 1) name = text(field);
    for (const kind of field.number === 2 ? fields(field.bytes) : []) {
      for (const part of kind.number === 1 ? fields(kind.bytes) : []) if (part.number === 1) type = enumValue(part);
    }
  }
  return { name, type };
}

/** @param {Uint8Array} bytes @param {Beside} beside @param {number} depth @returns {Node} */
function readNode(bytes, beside, depth) {
  /** @type {Node} */
  const node = {
    name: "",
    opType: "",
    domain: "",
    inputs: [],
    outputs: [],
    attributes: new Map(),
    metadata: new Map(),
  };
  for (const field of fields(bytes)) {
    if (field.number === 1) node.inputs.push(text(field));
    else if (field.number === 2) node.outputs.push(text(field));
    else if (field.number === 3) node.name = text(field);
    else if (field.number === 4) node.opType = text(field);
    else if (field.number === 5) node.attributes.set(...readAttribute(field.bytes, beside, depth));
    else if (field.number === 7) node.domain = text(field);
    else if (field.number === 9) node.metadata.set(...textEntry(field.bytes));
  }
  if (node.domain === "ai.onnx") node.domain = "";
  return node;
}

/** @type {Record<number, Attribute["kind"]>} by ONNX's number of an attribute's type */
const KINDS = { 1: "float", 2: "int", 3: "string", 4: "tensor", 5: "graph", 6: "floats", 7: "ints", 8: "strings" };

/** @param {Uint8Array} bytes @param {Beside} beside @param {number} depth @returns {[string, Attribute]} */
function readAttribute(bytes, beside, depth) {
  let name = "",
    type = 0;
  /** @type {Record<string, any>} */
  const found = { float: 0, int: 0, string: "", floats: [], ints: [], strings: [] };
  for (const field of fields(bytes)) {
    if (field.number === 1) name = text(field);
    else if (field.number === 2) [found.float] = floats(field);
    else if (field.number === 3) found.int = integer(field);
    else if (field.number === 4) found.string = new TextDecoder().decode(field.bytes);
    else if (field.number === 5) found.tensor = new Tensor(field.bytes, beside);
    else if (field.number === 6) found.graph = readGraph(field.bytes, beside, depth + 1);
    else if (field.number === 7) found.floats.push(...floats(field));
    else if (field.number === 8) found.ints.push(...integers(field));
    else if (field.number === 9) found.strings.push(new TextDecoder().decode(field.bytes));
    else if (field.number === 20) type = enumValue(field);
  }
  return [name, { kind: KINDS[type] ?? "other", value: found[KINDS[type] ?? ""] }];
}

/**
 * @param {Node} node
 * @returns {string[]} the values that it uses, each once: its inputs, then what its subgraphs use from outside
 */
export function reads(node) {
  const names = node.inputs.filter(Boolean);
  for (const { kind, value } of node.attributes.values()) if (kind === "graph") names.push(...free(value));
  return [...new Set(names)];
}

/** @param {Graph} graph @returns {string[]} */
function free(graph) {
  const own = new Set([...graph.inputs.map(({ name }) => name), ...graph.weights.keys()]),
    names = [];
  for (const node of graph.nodes) {
    names.push(...reads(node).filter((name) => !own.has(name)));
    for (const name of node.outputs) own.add(name);
  }
  return [...names, ...graph.outputs.filter((name) => !own.has(name))];
}
