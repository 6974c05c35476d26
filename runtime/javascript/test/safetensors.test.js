// safetensors files: Python's are read, ours are read by Python (tests/runtime/javascript), hostile ones are refused.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { InputError, numbers, readSafetensors, tensor, writeSafetensors } from "layerprobe";
import { fromPython, skip } from "../testing/from_python.js";

test("what Python wrote is read, in every type, and written as the same tensors", { skip }, async () => {
  const { tensors, metadata } = readSafetensors(await readFile(path.join(fromPython, "types.safetensors")));
  assert.deepEqual(metadata, new Map(Object.entries({ text: 'ä\n"', "": "empty" })));
  assert.deepEqual(Array.from(numbers(/** @type {any} */ (tensors.get("scalar")))), [2.5]);
  assert.deepEqual(tensors.get("empty")?.shape, [0, 4]);
  assert.ok(tensors.size > 10);
  await writeFile(path.join(fromPython, "from_javascript.safetensors"), writeSafetensors(tensors, metadata));
});

test("what is written is read again, whatever the names are", () => {
  const names = ["layer1.0.conv1", "__proto__", "constructor", "ä\u0000", "7", "3", ""];
  const tensors = new Map(names.map((name, place) => [name, tensor("float32", [2], Float32Array.of(place, -0))]));
  tensors.set("odd", tensor("uint8", [3], Uint8Array.of(1, 2, 3)));
  tensors.set("half", tensor("float16", [1], Uint16Array.of(0x3c00)));
  const back = readSafetensors(
    writeSafetensors(tensors, { __proto__: "no prototype", "layerprobe.file": "model.onnx" }),
  );
  assert.deepEqual(new Map([...back.tensors].sort()), new Map([...tensors].sort()));
  assert.equal(back.metadata.get("layerprobe.file"), "model.onnx");
  // In a file that starts at an odd address of a larger buffer, elements can't be read in place.
  const shifted = new Uint8Array(1 + writeSafetensors(tensors).length);
  shifted.set(writeSafetensors(tensors), 1);
  assert.deepEqual(readSafetensors(shifted.subarray(1)).tensors.get("constructor")?.data, Float32Array.of(2, -0));
});

const ONE = { dtype: "F32", shape: [1], data_offsets: [0, 4] };

/** @type {Record<string, [unknown, RegExp]>} */
const HOSTILE = {
  "no object": [[], /its header is no object/],
  "no JSON": ['{"a": ', /is no JSON/],
  "a name twice": [`{"a": ${JSON.stringify(ONE)}, "\\u0061": ${JSON.stringify(ONE)}}`, /has "a" twice/],
  "an unknown type": [{ a: { ...ONE, dtype: "toString" } }, /has the type "toString", which is unknown/],
  "a negative size": [{ a: { ...ONE, shape: [-1] } }, /has no shape or place/],
  "a size that overflows": [{ a: { ...ONE, shape: [2 ** 40, 2 ** 40] } }, /has 4 bytes, and its shape is/],
  "places that overlap": [{ a: ONE, b: ONE }, /the tensor "b" starts at 0, not at 4/],
  "a gap": [{ a: { ...ONE, data_offsets: [4, 8] } }, /starts at 4, not at 0/],
  "an end before the start": [{ a: { ...ONE, data_offsets: [8, 4] } }, /has -4 bytes/],
  "no place": [{ a: null }, /has the type "undefined"/],
  "metadata that are no texts": [{ __metadata__: { a: 1 } }, /metadata are not texts/],
  "a place beyond the end": [{ a: { ...ONE, shape: [2], data_offsets: [0, 8] } }, /has \d+ bytes, and its header says/],
};

for (const [what, [header, said]] of Object.entries(HOSTILE)) {
  test(`a header with ${what} is refused`, () => {
    const text = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
    const file = new Uint8Array(8 + text.length + 4);
    new DataView(file.buffer).setBigUint64(0, BigInt(text.length), true);
    file.set(text, 8);
    assert.throws(
      () => readSafetensors(file),
      (error) => error instanceof InputError && said.test(error.message),
    );
  });
}

test("metadata of megabytes are read: the facts of a large network's reference are one text", () => {
  const text = 'a "name": '.repeat(1e6);
  assert.equal(readSafetensors(writeSafetensors(new Map(), { text })).metadata.get("text"), text);
});

test("a header without end, and a file without one, are refused before anything is allocated", () => {
  const file = new Uint8Array(16).fill(0xff);
  assert.throws(() => readSafetensors(file), /its header is said to have/);
  assert.throws(() => readSafetensors(file.subarray(0, 5)), /it has 5 bytes/);
  assert.throws(() => readSafetensors(Uint8Array.of(100, 0, 0, 0, 0, 0, 0, 0, 0x7b)), /truncated in its header/);
});

test("a tensor that isn't what it says can't be written", () => {
  const wrong = /** @type {any} */ ({ dtype: "float32", shape: [2], data: Float32Array.of(1) });
  assert.throws(() => writeSafetensors(new Map([["a", wrong]])), InputError);
  assert.throws(() => writeSafetensors(new Map([["__metadata__", tensor("bool", [1], Uint8Array.of(1))]])), InputError);
});
