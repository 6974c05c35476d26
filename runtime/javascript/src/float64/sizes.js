// Operators on sizes and constants: Shape, Cast, ConstantOfShape, Range, ...

import { float16Rounded, TYPES } from "./onnx_types.js";
import { NotComputed, Values, map, scalar, vector, zeros } from "./values.js";

/** @typedef {import("./calls.js").Call} Call */
/** @typedef {import("./values.js").Kind} Kind */

/** @param {Call} call @returns {Values[]} */
export function shape(call) {
  const [x] = call.given(1),
    end = call.attribute("end");
  return [vector(x.shape.slice(call.int("start"), end === undefined || end === null ? undefined : Number(end)))];
}

/** @param {Call} call @returns {Values[]} */
export function size(call) {
  return [scalar(call.given(1)[0].size, "int64")];
}

/** @param {Call} call @returns {Values[]} of an attribute; a tensor's is a weight of the graph (`graph.js`) */
export function constant(call) {
  const { attributes } = call.node;
  const given = [...attributes].find(([name]) => name.startsWith("value"));
  if (!given) throw new NotComputed("Constant without a value");
  const [name, { value }] = given;
  if (name === "value") return [value.read()];
  if (name === "value_float" || name === "value_int")
    return [scalar(value, name === "value_float" ? "float64" : "int64")];
  if (name === "value_floats" || name === "value_ints")
    return [vector(value, name === "value_floats" ? "float64" : "int64")];
  throw new NotComputed(`Constant of ${name}`);
}

/** @param {Call} call @returns {Values[]} */
export function constantOfShape(call) {
  const [sizes] = call.given(1),
    value = call.node.attributes.get("value")?.value.read(),
    out = zeros(sizes.list(), value?.kind);
  if (value) out.data.fill(value.data[0]);
  return [out];
}

/** @param {Call} call @returns {Values[]} to float64 where it is to a type of floats */
export function cast(call) {
  const [x] = call.given(1),
    type = TYPES.get(call.int("to"));
  if (!type) throw new NotComputed(`Cast to type ${call.int("to")}`);
  return [castTo(x, type.kind)];
}

/** @param {Call} call @returns {Values[]} */
export function castLike(call) {
  const [x, like] = call.given(2);
  return [castTo(x, like.kind)];
}

/** @param {Values} x @param {Kind} kind @returns {Values} */
function castTo(x, kind) {
  if (kind === "float64") return new Values(x.shape, x.data, kind);
  return map(x, kind === "bool" ? (value) => (value !== 0 ? 1 : 0) : Math.trunc, kind);
}

/**
 * A cast that a converter to mixed precision inserted, which rounds.
 *
 * @param {Values} x
 * @param {string} dtype
 * @returns {Values}
 */
export function roundedTo(x, dtype) {
  if (dtype !== "float16") throw new NotComputed(`a cast to ${dtype} that rounds`);
  return map(x, float16Rounded);
}

/** @param {Call} call @returns {Values[]} */
export function range(call) {
  const [start, limit, delta] = call.given(3).map((each) => each.data[0]),
    count = Math.max(0, Math.ceil((limit - start) / delta));
  const out = zeros([count], call.given(1)[0].kind);
  for (let place = 0; place < count; place++) out.data[place] = start + place * delta;
  return [out];
}

/** @param {Call} call @returns {Values[]} where elements aren't 0: by axis, rank x count */
export function nonZero(call) {
  const [x] = call.given(1),
    found = [];
  for (let at = 0; at < x.size; at++) if (x.data[at] !== 0) found.push(at);
  const out = zeros([x.rank, found.length], "int64");
  found.forEach((at, number) => {
    for (let axis = x.rank - 1; axis >= 0; axis--) {
      out.data[axis * found.length + number] = at % x.shape[axis];
      at = Math.floor(at / x.shape[axis]);
    }
  });
  return [out];
}
