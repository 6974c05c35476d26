// Checking one's own decoder and preprocessing by the photo in an artifact: the first step that differs is named.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import path from "node:path";
import { test } from "node:test";
import sharp from "sharp";

import { castFloat32, checkPreprocessing, openArtifact, preprocess, tensor, writeSafetensors } from "layerprobe";
import { folder } from "layerprobe/node_folder";
import { decodePhoto } from "layerprobe/sharp_photo";
import { fromPython, skip } from "../testing/from_python.js";

const [WIDTH, HEIGHT] = [31, 20];
const PIXELS = {
  width: WIDTH,
  height: HEIGHT,
  data: Uint8Array.from({ length: 3 * WIDTH * HEIGHT }, (_, place) => (place * 37) % 256),
};
const STEPS = {
  resize: 12,
  crop: [10, 11],
  mean: [0.5, 0.4, 0.3],
  std: [0.2, 0.3, 0.4],
  interpolation: "bilinear",
  layout: "NCHW",
};

/**
 * An artifact in memory, with test vectors that a test may alter.
 *
 * @param {any} [steps]
 * @param {(vectors: Map<string, any>) => unknown} [alter]
 * @param {any} [dtype] of the model's input
 */
async function artifact(steps = STEPS, alter = () => null, dtype = "float32") {
  const { cropped, input } = preprocess(PIXELS, steps);
  const grey = cropped.data.filter((_, place) => place % 3 === 0);
  const depth = (steps.in_model ?? steps).mean.length;
  const vectors = new Map([
    ["pixels", tensor("uint8", [HEIGHT, WIDTH, 3], PIXELS.data)],
    ["cropped", depth === 1 ? tensor("uint8", [10, 11, 1], /** @type {any} */ (grey)) : cropped],
    ["input:x", dtype === "float16" ? castFloat32(input, dtype) : input],
  ]);
  alter(vectors);
  const file = writeSafetensors(vectors);
  const output = {
    name: "y",
    label: "y",
    operation: "y",
    module_path: "",
    source_file: null,
    source_line: null,
    dtype,
  };
  const manifest = {
    format_version: 1,
    model: "m",
    files: { "test_vectors.safetensors": createHash("sha256").update(file).digest("hex") },
    inputs: [{ name: "x", shape: input.shape, dtype }],
    preprocessing: steps,
    outputs: [{ ...output, shape: ["N"], layout: "N", alias_of: null }],
    results: { "": "y" },
    skipped: [],
    capture: "trace",
    versions: { layerprobe: "0.1.0", torch: null, onnx: "1", opset: 20 },
  };
  const text = new TextEncoder().encode(JSON.stringify(manifest));
  return openArtifact(
    new Map([
      ["manifest.json", text],
      ["test_vectors.safetensors", file],
    ]),
  );
}

test("preprocessing that is as it must be is said to be equal, in colour, in grey, in float16, and without normalisation", async () => {
  const equal = { checked: true, equal: true, difference: null };
  assert.deepEqual(await checkPreprocessing(await artifact(), PIXELS), equal);
  assert.deepEqual(await checkPreprocessing(await artifact({ ...STEPS, mean: [0.5], std: [0.2] })), equal);
  assert.deepEqual(await checkPreprocessing(await artifact(STEPS, undefined, "float16")), equal);
  const inModel = {
    ...STEPS,
    mean: null,
    std: null,
    layout: "NHWC",
    in_model: { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] },
  };
  assert.deepEqual(await checkPreprocessing(await artifact(inModel, undefined, "uint8")), equal);
});

test("the first step that differs is named, with how much", async () => {
  const wrong = { ...PIXELS, data: PIXELS.data.map((value, place) => (place === 7 ? value ^ 4 : value)) };
  const decoded = await checkPreprocessing(await artifact(), wrong);
  assert.deepEqual(decoded.difference, { step: "pixels", elements: 1, largest: 4 });
  for (const [step, name] of [
    ["cropped", "cropped"],
    ["input", "input:x"],
  ]) {
    const altered = await artifact(STEPS, (vectors) => (vectors.get(name).data[5] += 2));
    const { equal, difference } = await checkPreprocessing(altered, PIXELS);
    assert.deepEqual(
      [equal, difference?.step, difference?.elements, Math.round(difference?.largest ?? 0)],
      [false, step, 1, 2],
    );
  }
  const smaller = await artifact(STEPS, (vectors) =>
    vectors.set("cropped", tensor("uint8", [1, 1, 3], new Uint8Array(3))),
  );
  assert.equal((await checkPreprocessing(smaller)).difference?.largest, Infinity);
});

test("an artifact without test vectors, or with others, says so", async () => {
  await assert.rejects(
    checkPreprocessing(await artifact(STEPS, (vectors) => vectors.delete("cropped"))),
    /has no pixels, cropped and input:x/,
  );
  const none = await artifact();
  const lists = { value: () => false };
  assert.equal((await checkPreprocessing(Object.create(none, { lists }))).checked, false);
});

test("sharp and this package make of an exported artifact's photo what Python makes of it", { skip }, async () => {
  const exported = await openArtifact(folder(path.join(fromPython, "cnn2")));
  const has = exported.lists("test_vectors.safetensors");
  const decoded = has ? await decodePhoto(await exported.bytes("test_photo.png"), sharp) : undefined;
  assert.deepEqual(await checkPreprocessing(exported, decoded), { checked: has, equal: has, difference: null });
});
