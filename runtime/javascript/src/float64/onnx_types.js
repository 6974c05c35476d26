// ONNX's types of elements, and their numbers as doubles.

/** @typedef {import("./values.js").Kind} Kind */

/**
 * @typedef {object} Type
 * @property {string} dtype NumPy's name
 * @property {Kind} kind what it is in an evaluation: all floats are float64
 * @property {number} bytes of an element
 * @property {(view: DataView, at: number) => number} read
 */

/** @param {string} dtype @param {Kind} kind @param {number} bytes @param {Type["read"]} read @returns {Type} */
const type = (dtype, kind, bytes, read) => ({ dtype, kind, bytes, read });

/** By number in ONNX's TensorProto. @type {ReadonlyMap<number, Type>} */
export const TYPES = new Map([
  [1, type("float32", "float64", 4, (view, at) => view.getFloat32(at, true))],
  [2, type("uint8", "uint8", 1, (view, at) => view.getUint8(at))],
  [3, type("int8", "int8", 1, (view, at) => view.getInt8(at))],
  [5, type("int16", "int32", 2, (view, at) => view.getInt16(at, true))],
  [6, type("int32", "int32", 4, (view, at) => view.getInt32(at, true))],
  [7, type("int64", "int64", 8, (view, at) => Number(view.getBigInt64(at, true)))],
  [9, type("bool", "bool", 1, (view, at) => view.getUint8(at))],
  [10, type("float16", "float64", 2, (view, at) => float16(view.getUint16(at, true)))],
  [11, type("float64", "float64", 8, (view, at) => view.getFloat64(at, true))],
  [16, type("bfloat16", "float64", 2, (view, at) => bfloat16(view.getUint16(at, true)))],
]);

export const FLOAT = 1,
  FLOAT16 = 10,
  DOUBLE = 11,
  BFLOAT16 = 16;

/** @param {number} bits @returns {number} */
export function float16(bits) {
  const sign = bits & 0x8000 ? -1 : 1,
    exponent = (bits >> 10) & 31,
    fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent ? sign * 2 ** (exponent - 25) * (fraction + 1024) : sign * 2 ** -24 * fraction;
}

const WIDE = new DataView(new ArrayBuffer(4));

/** @param {number} bits @returns {number} */
export function bfloat16(bits) {
  WIDE.setUint32(0, bits << 16);
  return WIDE.getFloat32(0);
}

/** The nearest number of float16; of two, the even one. @param {number} value @returns {number} */
export function float16Rounded(value) {
  const size = Math.abs(value);
  if (!(size < 65520)) return size >= 65520 ? Math.sign(value) * Infinity : value;
  const step = 2 ** (Math.max(-14, Math.floor(Math.log2(size || 1e-9))) - 10),
    steps = size / step,
    below = Math.floor(steps);
  const even = steps - below > 0.5 || (steps - below === 0.5 && below % 2) ? below + 1 : below;
  return Math.sign(value) * even * step;
}
