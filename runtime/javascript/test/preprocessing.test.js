// The input that a photo becomes equals Python's to the bit: photos of every kind and size, written by
// tests/runtime/javascript/photo_vectors.py.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import { preprocess, readSafetensors } from "layerprobe";
import { fromPython, skip } from "./from_python.js";

test("every photo becomes the input that it becomes in Python, to the bit", { skip }, async () => {
  const { tensors, metadata } = readSafetensors(await readFile(path.join(fromPython, "photos.safetensors")));
  const cases = JSON.parse(metadata.get("cases") ?? "[]");
  const wrong = [];
  for (const [number, { name, steps, seen, space, orientation }] of cases.entries()) {
    const [pixels, cropped, input] = ["pixels", "cropped", "input"].map((part) => tensors.get(`${number}/${part}`));
    const [height, width, channels] = pixels?.shape ?? [];
    const data = /** @type {Uint8Array} */ (pixels?.data);
    const found = preprocess({ width, height, channels, data, space, orientation }, steps);
    const photo = tensors.get(`${number}/photo`) ?? pixels;
    const { left, top, right, bottom } = found.region;
    for (const [what, ours, theirs] of [
      ["photo", found.photo.data, photo?.data],
      ["crop", found.cropped.data, cropped?.data],
      ["input", found.input.data, input?.data],
      ["input's shape", found.input.shape, input?.shape],
      ["crop's shape", found.cropped.shape, cropped?.shape],
      ["region", [left, top, right, bottom], seen],
    ]) {
      if (!same(ours, theirs)) wrong.push(`${name}: the ${what} differs`);
    }
  }
  assert.deepEqual(wrong, []);
  assert.ok(cases.length > 200);
});

/**
 * @param {any} one
 * @param {any} other
 */
function same(one, other) {
  return one.length === other?.length && one.every((/** @type {any} */ each, /** @type {number} */ place) => Object.is(each, other[place]));
}
