// The one currency: a tensor is its dtype by NumPy's name, its shape, and its elements row by row (the last axis
// fastest). What a model computed is a Map from name to tensor.

import { InputError } from "./errors.js";

/**
 * @typedef {Float32Array | Float64Array | Int8Array | Int16Array | Int32Array | BigInt64Array | Uint8Array
 *   | Uint16Array | Uint32Array | BigUint64Array} Elements
 */

/**
 * @typedef {object} Tensor
 * @property {DType} dtype
 * @property {number[]} shape `[]` of a scalar
 * @property {Elements} data in the array type of `DTYPES`: of float16 and bfloat16, which JavaScript lacks or only some
 *   browsers have, the bits, 16 each
 */

/** @typedef {Map<string, Tensor>} Tensors by the names of a model's outputs or inputs */

/** @typedef {keyof typeof DTYPES} DType */

/** NumPy's names of types (and bfloat16, which NumPy lacks), each with the array that holds its elements. */
export const DTYPES = Object.freeze({
  bool: Uint8Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
});

/**
 * @param {DType} dtype
 * @param {readonly number[]} shape
 * @param {Elements} data
 * @returns {Tensor}
 * @throws {InputError} the elements are of another type or number
 */
export function tensor(dtype, shape, data) {
  const kind = Object.hasOwn(DTYPES, dtype) ? DTYPES[dtype] : undefined;
  if (!kind || !(data instanceof kind)) {
    throw new InputError(
      `A tensor of ${String(dtype).slice(0, 20)} was given a ${data?.constructor?.name}.\n` +
        (kind ? `Give it a ${kind.name}.` : `The types are ${Object.keys(DTYPES).join(", ")}.`),
    );
  }
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0) || sizeOf(shape) !== data.length) {
    throw new InputError(`A tensor of ${shapeWords(shape)} was given ${data.length} elements.`);
  }
  return { dtype, shape: [...shape], data };
}

/**
 * @param {readonly number[]} shape
 * @returns {number} how many elements a tensor of this shape has
 */
export function sizeOf(shape) {
  return shape.reduce((product, size) => product * size, 1);
}

/**
 * @param {readonly (number | string)[]} shape
 * @returns {string} `1 x 3 x 64 x 64`; `a scalar`
 */
export function shapeWords(shape) {
  return shape.length ? shape.join(" x ") : "a scalar";
}

/**
 * Several inputs as one batch: the photos of `preprocess`, each N = 1, one after the other.
 *
 * @param {readonly Tensor[]} tensors of one type, and of one shape but for the first axis
 * @returns {Tensor} joined along the first axis
 * @throws {InputError} there are none, or they differ
 */
export function batch(tensors) {
  const [first] = tensors;
  const rest = first?.shape.slice(1).join();
  const other = tensors.find(({ dtype, shape }) => dtype !== first.dtype || shape.slice(1).join() !== rest);
  if (!first?.shape.length || other) {
    const [one, two] = [first, other].map((each) => (each ? `${shapeWords(each.shape)}, ${each.dtype}` : "nothing"));
    throw new InputError(`A batch is made of tensors of one shape and type; it was given ${one} and ${two}.`);
  }
  const data = new DTYPES[first.dtype](tensors.reduce((size, each) => size + each.data.length, 0));
  let at = 0;
  for (const each of tensors) {
    data.set(/** @type {any} */ (each.data), at);
    at += each.data.length;
  }
  const count = tensors.reduce((size, { shape }) => size + shape[0], 0);
  return { dtype: first.dtype, shape: [count, ...first.shape.slice(1)], data };
}

/**
 * The elements as numbers: bits of float16 and bfloat16 as the numbers that they mean, 64-bit integers rounded to what
 * a number holds. Arrays of numbers are returned as they are, without a copy.
 *
 * @param {Tensor} tensor
 * @returns {Exclude<Elements, BigInt64Array | BigUint64Array>}
 */
export function numbers({ dtype, data }) {
  if (dtype === "float16") return Float32Array.from(/** @type {Uint16Array} */ (data), fromFloat16);
  if (dtype === "bfloat16") return fromBfloat16(/** @type {Uint16Array} */ (data));
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float64Array.from(data, Number);
  return data;
}

/**
 * Round float32 elements to a floating-point type as NumPy's `astype` does: to the nearest, ties to even.
 *
 * @param {Tensor} tensor of float32
 * @param {"float16" | "float32" | "float64"} dtype
 * @returns {Tensor}
 */
export function castFloat32(tensor, dtype) {
  const data = /** @type {Float32Array} */ (tensor.data);
  if (dtype === "float32") return tensor;
  const cast = dtype === "float64" ? Float64Array.from(data) : Uint16Array.from(data, toFloat16);
  return { dtype, shape: [...tensor.shape], data: cast };
}

/**
 * @param {number} bits
 * @returns {number}
 */
function fromFloat16(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  return exponent ? sign * 2 ** (exponent - 25) * (fraction + 0x400) : sign * 2 ** -24 * fraction;
}

/**
 * @param {number} value
 * @returns {number} its bits
 */
function toFloat16(value) {
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const size = Math.abs(value);
  if (Number.isNaN(size)) return 0x7e00;
  // From halfway to the first number beyond the range, which would be even, it is infinity.
  if (size >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, size ? Math.floor(Math.log2(size)) : -14);
  // Math.log2 may be one too high or too low beside a power of two; then the steps, rounded, still are right or carry.
  const exact = exponent > -14 && 2 ** exponent > size ? exponent - 1 : exponent;
  const steps = roundHalfEven(size / 2 ** (exact - 10));
  return sign | (steps < 0x400 ? steps : ((exact + 14) << 10) + steps);
}

/**
 * @param {Uint16Array} bits
 * @returns {Float32Array}
 */
function fromBfloat16(bits) {
  const wide = new Uint32Array(bits.length);
  for (let place = 0; place < bits.length; place++) wide[place] = bits[place] << 16;
  return new Float32Array(wide.buffer);
}

/**
 * Python's `round`: to the nearest whole number, a tie to the even one.
 *
 * @param {number} value
 * @returns {number}
 */
export function roundHalfEven(value) {
  const below = Math.floor(value);
  const rest = value - below;
  return rest < 0.5 || (rest === 0.5 && below % 2 === 0) ? below : below + 1;
}
