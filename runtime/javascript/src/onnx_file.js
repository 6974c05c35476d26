// What an ONNX file says beside its graph: the copy of the manifest in it, and which other files its weights are in.
// Nodes and weights themselves are read by `float64/onnx_graph.js`.

import { NotMessage, enumValue, fields, text } from "./protobuf.js";

const METADATA = 14;
const [KEY, VALUE] = [1, 2];
const [EXTERNAL_DATA, DATA_LOCATION] = [13, 14];
/** An enum's values: whether a tensor's data is in a file. A value that isn't one of them changes nothing. */
const IN_FILE = new Map([
  [0, false],
  [1, true],
]);
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
 * @throws {NotMessage} it is not an ONNX file
 */
export function onnxMetadata(content, key) {
  /** @type {Uint8Array | undefined} */
  let found;
  for (const { number, bytes } of fields(content)) {
    if (number !== METADATA) continue;
    const [name, value] = keyAndValue(bytes);
    if (name === key) found = value;
  }
  return found;
}

/**
 * @param {Uint8Array} content of an ONNX file
 * @returns {string[]} where its weights are said to be that are not in it, each place once
 * @throws {NotMessage} it is not an ONNX file, or data that isn't a weight is said to be in a file
 */
export function weightFiles(content) {
  return [...new Set(locations(content, "model", 0))];
}

/**
 * @param {Uint8Array} message
 * @param {string} kind
 * @param {number} depth
 * @returns {Generator<string>}
 */
function* locations(message, kind, depth) {
  if (depth > DEEPEST) throw new NotMessage("its graphs are nested too deeply");
  if (kind === "weight" || kind === "tensor") {
    const place = externalPlace(message);
    if (place === null) return;
    if (kind === "tensor") throw new NotMessage("a constant of a node is said to be in a file: only weights may be");
    yield place.get("location") ?? "";
    return;
  }
  for (const { number, bytes } of fields(message)) {
    const inner = INSIDE[kind][number];
    if (inner !== undefined) yield* locations(bytes, inner, depth + 1);
  }
}

/**
 * @param {Uint8Array} tensor
 * @returns {Map<string, string> | null} its location, offset and length; null if it is in the model. Of several, the
 *   last counts
 */
export function externalPlace(tensor) {
  let external = false;
  const place = new Map();
  for (const field of fields(tensor)) {
    if (field.number === DATA_LOCATION) external = IN_FILE.get(enumValue(field)) ?? external;
    if (field.number === EXTERNAL_DATA) place.set(...textEntry(field.bytes));
  }
  return external ? place : null;
}

/** @param {Uint8Array} entry of ONNX's lists of keys and values @returns {[string, string]} */
export function textEntry(entry) {
  const [key, bytes] = keyAndValue(entry);
  return [key, text({ bytes })];
}

/** @param {Uint8Array} entry @returns {[string, Uint8Array]} */
function keyAndValue(entry) {
  let key = "",
    value = entry.subarray(0, 0);
  for (const field of fields(entry)) {
    if (field.number === KEY) key = text(field);
    if (field.number === VALUE) value = field.bytes;
  }
  return [key, value];
}
