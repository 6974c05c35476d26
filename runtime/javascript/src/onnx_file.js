// What an ONNX file says beside its graph: the copy of the manifest in it, and which other files its weights are in.

import { fields, numberIn, textIn } from "./protobuf.js";

/** @typedef {import("./protobuf.js").Field} Field */

const METADATA = 14;
const [KEY, VALUE] = [1, 2];
const [EXTERNAL_DATA, DATA_LOCATION, EXTERNAL] = [13, 14, 1];
/** Graphs within graphs, each a branch or a loop's body; protobuf's own limit. */
const DEEPEST = 100;

/**
 * ONNX's messages in which tensors are, by field number. A weight is the graph's own, not one of a branch or a loop.
 *
 * @type {Readonly<Record<string, Readonly<Record<number, string>>>>}
 */
const INSIDE = Object.freeze({
  model: { 7: "graph", 20: "training", 25: "function" },
  training: { 1: "branch", 2: "branch" },
  graph: { 1: "node", 5: "weight", 15: "sparse" },
  branch: { 1: "node", 5: "tensor", 15: "sparse" },
  function: { 7: "node", 11: "attribute" },
  node: { 5: "attribute" },
  attribute: { 5: "tensor", 6: "branch", 10: "tensor", 11: "branch", 22: "sparse", 23: "sparse" },
  sparse: { 1: "tensor", 2: "tensor" },
});

/**
 * @param {Uint8Array} content of an ONNX file
 * @param {string} key
 * @returns {Uint8Array | undefined} the value under that key of its `metadata_props`
 * @throws {Error} it is not an ONNX file
 */
export function onnxMetadata(content, key) {
  /** @type {Uint8Array | undefined} */
  let found;
  for (const entry of fields(content)) {
    if (entry.number !== METADATA) continue;
    const parts = new Map([...fields(content, entry.start, entry.end)].map((part) => [part.number, part]));
    const [name, value] = [parts.get(KEY), parts.get(VALUE)];
    if (name && textIn(content, name) === key)
      found = value ? content.subarray(value.start, value.end) : new Uint8Array();
  }
  return found;
}

/**
 * @param {Uint8Array} content of an ONNX file
 * @returns {string[]} where its weights are said to be that are not in it, each place once
 * @throws {Error} it is not an ONNX file, or data that isn't a weight is said to be in a file
 */
export function weightFiles(content) {
  return [...new Set(locations(content, "model", { number: 0, start: 0, end: content.length }, 0))];
}

/**
 * @param {Uint8Array} content
 * @param {string} kind
 * @param {Field} message
 * @param {number} depth
 * @returns {Generator<string>}
 */
function* locations(content, kind, message, depth) {
  if (depth > DEEPEST) throw new Error("its graphs are nested too deeply");
  if (kind === "weight" || kind === "tensor") {
    const location = locationOf(content, message);
    if (location === undefined) return;
    if (kind === "tensor") throw new Error("a constant of a node is said to be in a file: only weights may be");
    yield location;
    return;
  }
  for (const part of fields(content, message.start, message.end)) {
    const inner = INSIDE[kind][part.number];
    if (inner !== undefined) yield* locations(content, inner, part, depth + 1);
  }
}

/**
 * @param {Uint8Array} content
 * @param {Field} tensor
 * @returns {string | undefined} undefined if it is in the model; of several places, the last counts
 */
function locationOf(content, tensor) {
  let [external, location] = [false, ""];
  for (const part of fields(content, tensor.start, tensor.end)) {
    if (part.number === DATA_LOCATION) external = numberIn(content, part) === EXTERNAL;
    if (part.number !== EXTERNAL_DATA) continue;
    const entry = new Map(
      [...fields(content, part.start, part.end)].map((each) => [each.number, textIn(content, each)]),
    );
    if (entry.get(KEY) === "location") location = entry.get(VALUE) ?? "";
  }
  return external ? location : undefined;
}
