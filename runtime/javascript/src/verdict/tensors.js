// The package's tensors as a float64 evaluation takes them.

import { Values } from "../float64/values.js";
import { numbers } from "../tensor.js";

/** @typedef {import("../tensor.js").Tensor} Tensor */
/** @typedef {import("../float64/values.js").Kind} Kind */

/** @type {Record<string, Kind>} */
const KINDS = { bool: "bool", uint8: "uint8", int8: "int8", int32: "int32" };

/** @param {Tensor} tensor @returns {Values} floats stay as wide as they are, and are computed with as doubles */
export function valuesOf(tensor) {
  const data = numbers(tensor),
    kind = tensor.dtype.includes("float") ? "float64" : (KINDS[tensor.dtype] ?? "int64");
  return new Values(
    tensor.shape,
    data instanceof Float32Array || data instanceof Float64Array ? data : Float64Array.from(data),
    kind,
  );
}
