// The input that a photo becomes equals Python's to the bit: photos of every kind and size, written by
// tests/runtime/javascript/photo_vectors.py.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";

import sharp from "sharp";

import { ImageError, imageInput, preprocess, readSafetensors } from "layerprobe";
import { decodePhoto } from "layerprobe/sharp_photo";

import { comparePhotos, same } from "../testing/compare_photos.js";
import { fromPython, skip } from "../testing/from_python.js";

test("every photo becomes the input that it becomes in Python, to the bit", { skip }, async () => {
  const { count, wrong } = comparePhotos(await readFile(path.join(fromPython, "photos.safetensors")));
  assert.deepEqual(wrong, []);
  assert.ok(count > 200);
});

test(
  "a photo's file, decoded by sharp, becomes what it becomes in Python, whatever its format and orientation",
  { skip },
  async () => {
    const files = path.join(fromPython, "files");
    const { tensors, metadata } = readSafetensors(await readFile(path.join(files, "expected.safetensors")));
    const names = JSON.parse(metadata.get("files") ?? "[]");
    const wrong = [];
    for (const [number, name] of names.entries()) {
      const pixels = await decodePhoto(await readFile(path.join(files, name)), sharp);
      const { photo, input } = preprocess(pixels, JSON.parse(metadata.get("steps") ?? "{}"));
      const [expected, given] = [tensors.get(`${number}/photo`), tensors.get(`${number}/input`)];
      if (!same([photo.height, photo.width, 3], expected?.shape)) wrong.push(`${name}: the photo's size differs`);
      else if (!same(photo.data, expected?.data))
        wrong.push(`${name}: the pixels differ by ${largest(photo.data, expected?.data)}`);
      else if (!same(input.data, given?.data)) wrong.push(`${name}: the input differs`);
    }
    assert.deepEqual(wrong, []);
    assert.ok(names.length > 25);
  },
);

test("pixels that don't fit what they are said to be are refused, and so are too many", () => {
  const steps = { resize: 8, crop: [8, 8], mean: [0, 0, 0], std: [1, 1, 1], interpolation: "bilinear", layout: "NCHW" };
  /** @param {any} pixels */
  const given = (pixels) => () => preprocess(pixels, /** @type {any} */ (steps));
  assert.throws(given({ width: 0, height: 3, data: new Uint8Array(0) }), ImageError);
  assert.throws(given({ width: 2, height: 2, data: new Uint8Array(11) }), /were given 11 values/);
  assert.throws(given({ width: 2, height: 2, data: new Float32Array(12) }), /Uint16Array/);
  assert.throws(given({ width: 2 ** 20, height: 2 ** 20, data: new Uint8Array(12) }), /the limit is 89,478,485/);
  assert.throws(
    given({ width: 1, height: 2 ** 21, data: new Uint8Array(3 * 2 ** 21) }),
    /its shorter side is 8, would be/,
  );
});

test("a model of open sizes takes a photo in another size, one of a fixed size refuses it", () => {
  const steps = {
    resize: 232,
    crop: [224, 224],
    mean: [0, 0, 0],
    std: [1, 1, 1],
    interpolation: "bilinear",
    layout: "NCHW",
  };
  /** @param {(string | number)[]} shape */
  const manifest = (shape) =>
    /** @type {any} */ ({ model: "m", inputs: [{ name: "x", shape, dtype: "float32" }], preprocessing: steps });
  const { name, preprocessing } = imageInput(manifest(["N", 3, "H", "W"]), [320, 480]);
  assert.deepEqual([name, preprocessing.resize, preprocessing.crop], ["x", 497, [320, 480]]);
  assert.equal(imageInput(manifest(["N", 3, 224, 224]), [224, 224]).preprocessing.resize, 232);
  assert.throws(() => imageInput(manifest(["N", 3, 224, 224]), [320, 480]), /takes images of 224 x 224 only/);
  assert.throws(
    () => imageInput(/** @type {any} */ ({ ...manifest(["N", 8]), preprocessing: null })),
    /takes x \(N x 8, float32\)/,
  );
});

/**
 * @param {any} one
 * @param {any} other
 */
function largest(one, other) {
  return one.reduce(
    (/** @type {number} */ most, /** @type {number} */ each, /** @type {number} */ place) =>
      Math.max(most, Math.abs(each - other[place])),
    0,
  );
}
