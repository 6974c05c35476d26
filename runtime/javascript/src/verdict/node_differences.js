// Where the ONNX file is at fault at an output: what its nodes there have otherwise than when they were exported
// (operations.json), each as the end of a sentence: `its epsilon is 1e-05, the model's 0.001`.

import { sha256 } from "../artifact.js";
import { oneLine } from "../plain_text.js";
import { nearestValues } from "../float64/graph.js";
import { reads } from "../float64/onnx_graph.js";
import { schemaOf } from "../float64/onnx_schemas.js";
import { general, shortFloat32 } from "../number_words.js";

/** @typedef {import("../float64/onnx_graph.js").Node} Node */
/** @typedef {import("../float64/onnx_graph.js").OnnxModel} OnnxModel */
/** @typedef {import("../float64/onnx_graph.js").Tensor} Tensor */
/** @typedef {{ name: string, shape: number[], sum: string, sha256: string, values?: string | null }} Constant */
/** @typedef {string | Constant | undefined | null} Parameter */
/** @typedef {{ operator: string, parameters: Record<string, Parameter>, reads: string[] }} Described */

/**
 * Attributes that may be omitted where they hold nothing but this: ONNX's schema doesn't say so.
 *
 * @type {Record<string, string>}
 */
const NEUTRAL = { pads: "0", strides: "1", dilations: "1", output_padding: "0" };
/** Characters of one value in a message. */
const LONGEST = 80;
/** A constant of up to this many elements is recorded by its values. */
const SHOWN = 8;

/**
 * @param {OnnxModel} model
 * @param {readonly string[]} outputs of the artifact
 * @param {string} output where the file is at fault
 * @param {readonly Described[] | undefined} exported what operations.json has there
 * @returns {Promise<string[]>} none where nothing differs, or the artifact holds no record
 */
export async function nodeDifferences(model, outputs, output, exported) {
  if (!exported) return [];
  const found = await describedNodes(model, outputs, output),
    opset = model.opsets.get("") ?? 1;
  return [...operatorsBetween(found, exported), ...inside(found, exported, opset)].map((each) => oneLine(each));
}

/**
 * @param {OnnxModel} model
 * @param {readonly string[]} outputs
 * @param {string} output
 * @returns {Promise<Described[]>}
 */
async function describedNodes({ graph, opsets }, outputs, output) {
  const tensors = new Map(graph.weights),
    named = new Set([...outputs, ...graph.inputs.map(({ name }) => name)]);
  for (const node of graph.nodes) {
    const value = node.attributes.get("value");
    if (node.opType === "Constant" && value?.kind === "tensor") tensors.set(node.outputs[0], value.value);
  }
  const nodes = graph.nodes.filter(({ opType }) => opType !== "Constant");
  const producers = new Map(nodes.flatMap((node, index) => node.outputs.filter(Boolean).map((name) => [name, index])));
  const index = producers.get(output);
  if (index === undefined) return [];
  const { between } = nearestValues(output, producers, nodes.map(reads), named);
  const indices = [...new Set([...between, index])].sort((one, other) => one - other);
  return Promise.all(indices.map((each) => described(nodes[each], tensors, named, opsets.get("") ?? 1)));
}

/**
 * @param {Node} node
 * @param {ReadonlyMap<string, Tensor>} tensors
 * @param {ReadonlySet<string>} named
 * @param {number} opset
 * @returns {Promise<Described>}
 */
async function described(node, tensors, named, opset) {
  /** @type {Record<string, Parameter>} */
  const parameters = Object.create(null);
  for (const [name, { kind, value }] of node.attributes) {
    if (["float", "floats", "int", "ints", "string", "strings"].includes(kind))
      parameters[name] = attributeText(kind, value);
  }
  const formal = node.domain ? [] : (schemaOf(node.opType, opset)?.inputs ?? []);
  for (const [place, name] of node.inputs.entries()) {
    const tensor = tensors.get(name),
      own = formal[place];
    if (tensor) parameters[own && own !== "..." ? own : `input ${place + 1}`] = await constantOf(name, tensor);
  }
  const operator = node.domain ? `${node.domain}.${node.opType}` : node.opType;
  return { operator, parameters, reads: node.inputs.filter((name) => named.has(name)) };
}

/** @param {string} kind @param {any} value @returns {string} */
function attributeText(kind, value) {
  const values = Array.isArray(value) ? value : [value];
  return values.map((each) => (kind.startsWith("float") ? shortFloat32(each) : String(each))).join(" ");
}

/** @param {string} name @param {Tensor} tensor @returns {Promise<Constant>} */
async function constantOf(name, tensor) {
  const { data, kind } = tensor.read(),
    raw = tensor.bytes();
  const digest = raw ? (await sha256(raw)).slice(0, 16) : "";
  const texts =
    raw && tensor.dtype === "int64" && data.length <= SHOWN
      ? wholeNumbers(raw)
      : Array.from(data.slice(0, SHOWN), (each) => elementText(each, kind));
  return {
    name,
    shape: tensor.shape,
    sum: general(data.length ? pairwise(data, 0, data.length) : 0, 9),
    sha256: digest,
    values: data.length <= SHOWN ? texts.join(" ") : null,
  };
}

/** @param {number} value @param {string} kind @returns {string} */
function elementText(value, kind) {
  if (kind === "bool") return value ? "True" : "False";
  return kind === "float64" ? shortFloat32(value) : String(value);
}

/** @param {Uint8Array} raw of int64, some of which a double doesn't hold @returns {string[]} */
function wholeNumbers(raw) {
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  return Array.from({ length: raw.length / 8 }, (_, place) => String(view.getBigInt64(8 * place, true)));
}

/**
 * @param {Float64Array | Float32Array} data
 * @param {number} from
 * @param {number} to
 * @returns {number} added up in halves, so that nine digits are right
 */
function pairwise(data, from, to) {
  if (to - from <= 128) {
    let total = 0;
    for (let at = from; at < to; at++) total += data[at];
    return total;
  }
  const middle = (from + to) >> 1;
  return pairwise(data, from, middle) + pairwise(data, middle, to);
}

/** @param {readonly Described[]} found @param {readonly Described[]} exported @returns {Generator<string>} */
function* operatorsBetween(found, exported) {
  const [here, there] = [found, exported].map((nodes) => nodes.map(({ operator }) => operator));
  const [added, lacking] = [left(here, there), left(there, here)].map((names) => brief(names.join(", ")));
  if (added && lacking) yield `it has ${added} in place of the model's ${lacking}`;
  else if (added) yield `it has ${added} that the model has not`;
  else if (lacking) yield `it lacks the model's ${lacking}`;
}

/**
 * @param {readonly string[]} these
 * @param {readonly string[]} those
 * @returns {string[]} what these have more of, in their order
 */
function left(these, those) {
  const rest = [...those],
    more = [];
  for (const each of these) {
    const at = rest.indexOf(each);
    if (at < 0) more.push(each);
    else rest.splice(at, 1);
  }
  return more;
}

/**
 * Compare the nodes of each operator, the first with the first.
 *
 * @param {readonly Described[]} found
 * @param {readonly Described[]} exported
 * @param {number} opset
 * @returns {Generator<string>}
 */
function* inside(found, exported, opset) {
  const operators = [...new Set(exported.map(({ operator }) => operator))];
  for (const operator of operators) {
    const its = operators.length === 1 ? "its" : `its ${operator}'s`;
    const [here, there] = [found, exported].map((nodes) => nodes.filter((node) => node.operator === operator));
    if (here.length !== there.length) continue;
    for (const [number, one] of here.entries()) {
      const other = there[number];
      for (const name of new Set([...Object.keys(other.parameters), ...Object.keys(one.parameters)]))
        yield* parameter(its, name, one, other, opset);
      // Behind an added node, which is told, it reads something else anyway.
      if (one.reads.length && one.reads.join("\n") !== other.reads.join("\n") && found.length === exported.length) {
        yield `it reads ${one.reads.join(", ")} in place of ${other.reads.join(", ")}`;
      }
    }
  }
}

/**
 * @param {string} its
 * @param {string} name
 * @param {Described} here
 * @param {Described} there
 * @param {number} opset
 * @returns {Generator<string>}
 */
function* parameter(its, name, here, there, opset) {
  const [found, exported] = [here, there].map((node) =>
    Object.hasOwn(node.parameters, name) ? node.parameters[name] : defaultOf(node.operator, name, opset),
  );
  if (
    comparable(name, found) === comparable(name, exported) ||
    (name === "kernel_shape" && (found === undefined || exported === undefined))
  )
    return;
  // A weight's own name says more than ONNX's; a constant of the exporter's has none that does.
  const weight = [found, exported]
    .map((each) => (typeof each === "object" && each ? each.name : ""))
    .find((own) => own.includes("."));
  const what = weight ? `its ${brief(weight)}` : name.length > 1 ? `${its} ${name}` : `${its} constant ${name}`;
  const [shown, meant] = [shownAs(found), shownAs(exported)];
  if (shown === meant && typeof found === "object" && typeof exported === "object" && found && exported) {
    const how =
      found.sum === exported.sum ? "with the same sum" : `its sum is ${found.sum}, the model's ${exported.sum}`;
    yield `${what} differs from the model's (${how})`;
  } else yield `${what} ${shown.includes(" ") ? "are" : "is"} ${shown}, the model's ${meant}`;
}

/** @param {string} operator @param {string} name @param {number} opset @returns {string | undefined} */
function defaultOf(operator, name, opset) {
  const texts = schemaOf(operator, opset)?.texts;
  return texts && Object.hasOwn(texts, name) ? texts[name] : undefined;
}

/**
 * What is compared: equal where two mean the same.
 *
 * @param {string} name
 * @param {Parameter} given
 * @returns {string | null}
 */
function comparable(name, given) {
  if (given === undefined || given === null) return null;
  if (typeof given === "object") return given.values ?? [given.sha256, ...given.shape].join(" ");
  const neutral = Object.hasOwn(NEUTRAL, name) ? NEUTRAL[name] : undefined;
  return neutral !== undefined && given.split(" ").every((each) => each === neutral || !each) ? null : given;
}

/** @param {Parameter} given @returns {string} */
function shownAs(given) {
  if (given === undefined || given === null) return "not set";
  if (typeof given === "object") return given.values ?? `${given.shape.join(" x ")} numbers`;
  return brief(given) || "empty";
}

/** @param {string} text @returns {string} */
const brief = (text) => (text.length <= LONGEST ? text : `${text.slice(0, LONGEST - 3)}...`);
