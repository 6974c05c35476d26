// The verdict: a run of ONNX Runtime passes, a fault in it is named; what isn't an ONNX file is refused. That it says what
// Python's says, operator by operator and fault by fault, is in tests/runtime/javascript.

import assert from "node:assert/strict";
import path from "node:path";
import { test } from "node:test";
import * as ort from "onnxruntime-node";

import { ArtifactError, InputError, openArtifact, openRunner, recordedInputs, tensor } from "layerprobe";
import { folder } from "layerprobe/node_folder";
import { judge } from "layerprobe/verdict";
import { kernel, workspace } from "../src/float64/product_kernel.js";
import { product, vectors } from "../src/float64/products.js";
import { readOnnx } from "../src/float64/onnx_graph.js";
import { general, shortFloat32 } from "../src/number_words.js";
import { fromPython, skip } from "../testing/from_python.js";

const opened = () => openArtifact(folder(path.join(fromPython, "cnn2")));

test("what onnxruntime-node computes of each recorded input passes", { skip }, async () => {
  const artifact = await opened(),
    runner = await openRunner(artifact, ort);
  for (const { number, inputs } of await recordedInputs(artifact)) {
    const report = await judge(artifact, await runner.run(inputs), {
      recordedInput: number,
      name: "onnxruntime-node",
      readsOnnx: true,
    });
    assert.deepEqual(
      report.runners.map(({ name, verdict }) => [name, verdict]),
      [
        ["onnx-float64", "pass"],
        ["onnxruntime-node", "pass"],
      ],
    );
    assert.match(report.headline, /^All pass\. .* introduced the largest error in onnxruntime-node: [\d.]+ times/);
  }
});

test("one wrong element is found where it arose", { skip }, async () => {
  const artifact = await opened(),
    runner = await openRunner(artifact, ort),
    [{ inputs }] = await recordedInputs(artifact);
  const outputs = await runner.run(inputs),
    { dtype, shape, data } = /** @type {any} */ (outputs.get("maxpool_1"));
  const wrong = Float32Array.from(data);
  wrong[wrong.length >> 1] += 0.01;
  const report = await judge(artifact, new Map(outputs).set("maxpool_1", tensor(dtype, shape, wrong)), {
    readsOnnx: true,
  });
  const [file, { culprit, first_failing: first }] = report.runners;
  assert.deepEqual(
    [file.verdict, first, culprit?.output, culprit?.cause],
    ["pass", "maxpool_1", "maxpool_1", "runtime"],
  );
});

test("tensors of another input, or of another model, are refused", { skip }, async () => {
  const artifact = await opened(),
    [{ inputs }] = await recordedInputs(artifact),
    [[name, { shape, data }]] = inputs;
  const other = Float32Array.from(/** @type {Float32Array} */ (data), (each) => each + 1);
  const tensors = new Map([[`input:${name}`, tensor("float32", shape, other)]]);
  await assert.rejects(
    judge(artifact, tensors),
    (error) => error instanceof InputError && /another input/.test(error.message),
  );
  const foreign = new Map([["fc9", tensor("float32", [1], Float32Array.of(1))]]);
  await assert.rejects(
    judge(artifact, foreign),
    (error) => error instanceof InputError && /none of the outputs/.test(error.message),
  );
  const asked = judge(artifact, foreign, { recordedInput: 99 });
  await assert.rejects(asked, (error) => error instanceof InputError && /99/.test(error.message));
});

test("an ONNX file that is cut or altered anywhere is read, or refused with a reason", { skip }, async () => {
  const { content } = await (await opened()).onnx();
  let refused = 0;
  for (let round = 0; round < 60; round++) {
    const altered = content.slice(0, round % 2 ? content.length : Math.floor((content.length * round) / 60));
    for (let change = 0; change < 9; change++)
      altered[(round * 7919 + change * 104729) % Math.max(1, altered.length)] ^= 1 << (change % 8);
    try {
      for (const weight of readOnnx(altered, () => new Uint8Array()).graph.weights.values()) weight.bytes();
    } catch (error) {
      refused++;
      assert.ok(error instanceof Error && error.message.length < 300);
    }
  }
  assert.ok(refused > 20);
});

test("an altered reference is refused", { skip }, async () => {
  const artifact = await opened(),
    broken = { ...artifact, manifest: artifact.manifest, isAveraged: false, lists: () => true };
  const onnx = () => artifact.onnx(),
    bytes = async () => new Uint8Array(9);
  await assert.rejects(judge(/** @type {any} */ ({ ...broken, onnx, bytes }), new Map()), ArtifactError);
});

test("products of all sizes around the kernel's tile are right", () => {
  for (const [m, n, k] of [
    [1, 1, 1],
    [3, 5, 2],
    [4, 4, 7],
    [5, 9, 1],
    [8, 3, 33],
    [70, 130, 41],
    [2, 600, 300],
  ]) {
    const a = Float64Array.from({ length: m * k }, (_, at) => Math.sin(at)),
      b = Float32Array.from({ length: k * n }, (_, at) => Math.cos(at));
    const out = new Float64Array(m * n);
    product(m, n, k, vectors(a, 0, k, 1, k), vectors(b, 0, 1, n, k), out, 0);
    for (let row = 0; row < m; row++) {
      for (let column = 0; column < n; column++) {
        let expected = 0;
        for (let each = 0; each < k; each++) expected += a[row * k + each] * b[each * n + column];
        assert.ok(Math.abs(out[row * n + column] - expected) < 1e-12, `${m} x ${n} x ${k}`);
      }
    }
  }
  assert.equal(workspace(10).buffer, kernel().memory.buffer);
});

test("numbers are written as Python writes them", () => {
  const threes = new Map([
    [1234.5, "1.23e+03"],
    [0.5, "0.5"],
    [0.00012345, "0.000123"],
    [1e-5, "1e-05"],
    [16, "16"],
    [999.9, "1e+03"],
    [0, "0"],
  ]);
  for (const [value, text] of threes) assert.equal(general(value, 3), text);
  assert.equal(general(123456.789, 9), "123456.789");
  const short = new Map([
    [1e-5, "1e-05"],
    [0.001, "0.001"],
    [0.1, "0.1"],
    [3, "3"],
    [-0.75, "-0.75"],
    [1e20, "1e+20"],
    [3.4028234663852886e38, "3.4028235e+38"],
  ]);
  for (const [value, text] of short) assert.equal(shortFloat32(value), text);
});
