// Running an artifact in onnxruntime-node: its inputs are checked, its outputs have their names and types.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import path from "node:path";
import { test } from "node:test";
import * as ort from "onnxruntime-node";
import * as web from "onnxruntime-web";
import sharp from "sharp";

import {
  InputError,
  UsageError,
  checkInputs,
  imageInput,
  openArtifact,
  openRunner,
  preprocess,
  readSafetensors,
  recordedInputs,
  recordedRun,
  sample,
  samplePlaces,
  tensor,
} from "layerprobe";
import { folder } from "layerprobe/node_folder";
import { decodePhoto } from "layerprobe/sharp_photo";
import { Engine } from "../runner/engine.js";
import { fromPython, skip } from "../testing/from_python.js";

const opened = () => openArtifact(folder(path.join(fromPython, "cnn2")));

test("a photo gives every output by name, in the order of execution", { skip }, async () => {
  const artifact = await opened();
  const runner = await openRunner(artifact, ort);
  const { name, preprocessing } = imageInput(artifact.manifest);
  const pixels = await decodePhoto(await readFile(path.join(fromPython, "photo.jpg")), sharp);
  const outputs = await runner.run({ [name]: preprocess(pixels, preprocessing).input });
  assert.deepEqual(
    [...outputs.keys()],
    artifact.manifest.outputs.map((output) => output.name),
  );
  for (const { name, shape } of artifact.manifest.outputs) {
    assert.deepEqual(
      outputs.get(name)?.shape,
      shape.map((size) => (size === "N" ? 1 : size)),
      name,
    );
  }
  const expected = readSafetensors(await readFile(path.join(fromPython, "photo_run.safetensors"))).tensors;
  for (const [name, { data }] of outputs) {
    const theirs = /** @type {Float32Array} */ (expected.get(name)?.data);
    const scale = theirs.reduce((most, each) => Math.max(most, Math.abs(each)), 0);
    assert.ok(
      data.every((each, place) => Math.abs(Number(each) - theirs[place]) <= 1e-5 * scale),
      name,
    );
  }
  await runner.release();
});

test("only the outputs that are asked for are computed, and an unknown one is named", { skip }, async () => {
  const artifact = await opened();
  const [{ inputs }] = await recordedInputs(artifact);
  const runner = await openRunner(artifact, ort, { outputs: ["fc", "cnn1"] });
  assert.deepEqual([...(await runner.run(inputs)).keys()], ["cnn1", "fc"]);
  await assert.rejects(openRunner(artifact, ort, { outputs: ["fc", "toString"] }), UsageError);
  await assert.rejects(openRunner(artifact, ort, { outputs: [] }), /No output was requested/);
});

test("outputs named as what every object has are computed, or the one that can't be is named", { skip }, async () => {
  const content = await readFile(path.join(fromPython, "odd_names.onnx"));
  const described = (/** @type {string} */ name) => ({ name, shape: [2], dtype: "float32" });
  const outputs = ["y", "__proto__", "constructor"].map(described);
  const artifact = /** @type {any} */ ({
    manifest: { model: "odd", inputs: [described("x")], outputs },
    place: { name: "odd" },
    onnx: async () => ({ file: "model.onnx", content, weights: new Map() }),
  });
  for (const each of [ort, web]) {
    for (const wanted of [["y"], ["constructor"], ["y", "constructor"]]) {
      const runner = await openRunner(artifact, each, { outputs: wanted });
      const found = await runner.run({ x: tensor("float32", [2], Float32Array.of(-1, 2)) });
      assert.deepEqual(
        [...found].map(([name, { data }]) => [name, ...data]),
        wanted.map((name) => [name, 0, 2]),
      );
    }
    const said = /can't return an output named '__proto__' in JavaScript/;
    await assert.rejects(openRunner(artifact, each), (error) => error instanceof UsageError && said.test(error.message));
    await assert.rejects(Engine.open(each, content, {}), said);
  }
});

test("inputs that the model doesn't take are refused before it runs", { skip }, async () => {
  const { manifest } = await opened();
  const x = (/** @type {number[]} */ ...shape) =>
    tensor("float32", shape, new Float32Array(shape.reduce((a, b) => a * b, 1)));
  assert.equal(checkInputs(manifest, new Map([["x", x(5, 3, 64, 64)]])).get("x")?.shape[0], 5);
  for (const wrong of [
    new Map(),
    new Map([["y", x(1, 3, 64, 64)]]),
    new Map([["x", x(1, 3, 64, 65)]]),
    new Map([["x", x(0, 3, 64, 64)]]),
  ]) {
    assert.throws(() => checkInputs(manifest, wrong), InputError);
  }
  assert.throws(
    () => checkInputs(manifest, new Map([["x", tensor("uint8", [1, 3, 64, 64], new Uint8Array(12288))]])),
    /takes x \(N x 3 x 64 x 64, float32\); it was given x \(1 x 3 x 64 x 64, uint8\)/,
  );
});

test("float32 is rounded for a model of another precision", () => {
  const manifest = /** @type {any} */ ({ model: "m", inputs: [{ name: "x", shape: ["N"], dtype: "float16" }] });
  const given = new Map([["x", tensor("float32", [2], Float32Array.of(1, 0.1))]]);
  assert.deepEqual(checkInputs(manifest, given).get("x"), tensor("float16", [2], Uint16Array.of(0x3c00, 0x2e66)));
});

test("a model file of other outputs than the manifest's is refused", { skip }, async () => {
  const artifact = await opened();
  const [first, ...rest] = artifact.manifest.outputs;
  for (const [outputs, said] of /** @type {[any[], RegExp][]} */ ([
    [[{ ...first, name: "other" }, ...rest], /the model has cnn1 \(float32, .*\), the manifest other/],
    [[{ ...first, dtype: "int64" }, ...rest], /the manifest cnn1 \(int64/],
    [rest, /the manifest's outputs are not those of model.onnx/],
  ])) {
    const altered = Object.create(artifact, { manifest: { value: { ...artifact.manifest, outputs } } });
    altered.onnx = () => artifact.onnx();
    await assert.rejects(openRunner(altered, ort), said);
  }
});

test("weights in a file beside the model are checked like it, and give the same", { skip }, async () => {
  const artifact = await openArtifact(folder(path.join(fromPython, "weights_beside")));
  assert.deepEqual([...(await artifact.onnx()).weights.keys()], ["model.onnx.data"]);
  const [{ inputs }] = await recordedInputs(artifact);
  const [beside, inside] = await Promise.all([artifact, await opened()].map((each) => openRunner(each, ort)));
  assert.deepEqual((await beside.run(inputs)).get("fc"), (await inside.run(inputs)).get("fc"));

  const unlisted = Object.create(artifact, {
    lists: { value: (/** @type {string} */ file) => file !== "model.onnx.data" && artifact.lists(file) },
  });
  await assert.rejects(openRunner(unlisted, ort), /has weights in 'model.onnx.data', which the manifest doesn't list/);
});

test("the sample of a large tensor is Python's", { skip }, async () => {
  const { tensors, metadata } = readSafetensors(await readFile(path.join(fromPython, "samples.safetensors")));
  for (const [size, limit] of metadata) {
    const every = Math.max(1, Math.floor(Number(limit) / 999));
    const places = samplePlaces(Number(size), Number(limit)).filter((_, place) => place % every === 0);
    assert.deepEqual(BigInt64Array.from(places, BigInt), tensors.get(size)?.data);
  }
  assert.deepEqual(
    sample(
      Float32Array.from({ length: 10 }, (_, place) => place),
      4,
    ),
    Float32Array.of(0, 4, 5, 9),
  );
});

test("a run of a recorded input says which one it is, whole or as samples", { skip }, async () => {
  const recorded = (await recordedInputs(await opened()))[1];
  const outputs = new Map([["cnn1", tensor("float32", [1, 64, 64, 64], new Float32Array(262144))]]);
  const whole = readSafetensors(recordedRun(recorded, outputs, { facts: { device: "a phone" } }));
  assert.deepEqual(
    whole.metadata,
    new Map([
      ["device", "a phone"],
      ["layerprobe.recorded_input", "1"],
      ["layerprobe.file", "model.onnx"],
    ]),
  );
  assert.deepEqual([...whole.tensors.keys()].sort(), ["cnn1", "input:x"]);
  const small = readSafetensors(recordedRun(recorded, outputs, { sampled: true }));
  assert.deepEqual(JSON.parse(small.metadata.get("layerprobe.samples") ?? ""), { cnn1: [1, 64, 64, 64] });
  assert.equal(small.tensors.get("cnn1")?.data.length, recorded.sampled.get("cnn1"));
});
