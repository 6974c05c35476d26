// Tensors: what is no tensor is refused, and 16-bit floats mean what they mean in NumPy.

import assert from "node:assert/strict";
import { test } from "node:test";

import { InputError, batch, castFloat32, numbers, tensor } from "layerprobe";

test("elements of another type or number than the tensor's are refused", () => {
  assert.throws(() => tensor("float32", [2], new Float64Array(2)), InputError);
  assert.throws(() => tensor("float32", [2, 2], new Float32Array(3)), /2 x 2 was given 3 elements/);
  assert.throws(() => tensor(/** @type {any} */ ("toString"), [], new Float32Array(1)), /The types are bool,/);
  assert.deepEqual(tensor("float32", [], new Float32Array(1)).shape, []);
});

test("every float16 is read as what it means and written back as the same bits", () => {
  const bits = Uint16Array.from({ length: 2 ** 16 }, (_, place) => place);
  const values = /** @type {Float32Array} */ (numbers(tensor("float16", [bits.length], bits)));
  assert.deepEqual([...values.slice(0x3c00, 0x3c02), values[0x7bff], values[1]], [1, 1 + 2 ** -10, 65504, 2 ** -24]);
  const back = castFloat32(tensor("float32", [values.length], values), "float16").data;
  const kept = bits.filter((each, place) => !Number.isNaN(values[place]) && back[place] === each);
  assert.equal(kept.length, 2 ** 16 - 2 * 1023); // all but the NaNs
});

test("float32 is rounded to float16 as in NumPy: to the nearest, ties to even, beyond the range infinite", () => {
  const given = Float32Array.of(
    1 + 2 ** -11,
    1 + 3 * 2 ** -11,
    65519.99,
    65520,
    -1e30,
    2 ** -25,
    3 * 2 ** -26,
    -0,
    NaN,
  );
  const bits = castFloat32(tensor("float32", [given.length], given), "float16").data;
  assert.deepEqual([...bits], [0x3c00, 0x3c02, 0x7bff, 0x7c00, 0xfc00, 0, 1, 0x8000, 0x7e00]);
});

test("bfloat16 and 64-bit integers are read as numbers", () => {
  assert.deepEqual([...numbers(tensor("bfloat16", [2], Uint16Array.of(0x3f80, 0xc000)))], [1, -2]);
  assert.deepEqual([...numbers(tensor("int64", [2], BigInt64Array.of(-1n, 2n ** 40n)))], [-1, 2 ** 40]);
});

test("inputs become a batch, in their order; of different shapes they don't", () => {
  const of = (/** @type {number[]} */ ...values) => tensor("float32", [1, values.length], Float32Array.from(values));
  assert.deepEqual(batch([of(1, 2), of(3, 4), of(5, 6)]), tensor("float32", [3, 2], Float32Array.of(1, 2, 3, 4, 5, 6)));
  assert.throws(() => batch([of(1), of(1, 2)]), /it was given 1 x 1, float32 and 1 x 2, float32/);
  assert.throws(() => batch([]), InputError);
});
