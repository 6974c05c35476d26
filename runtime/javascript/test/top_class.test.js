// What the page says of a trained classifier's scores.
import assert from "node:assert/strict";
import { test } from "node:test";
import { classScores, topClass } from "../page/top_class.js";

const head = { name: "fc", layout: "NC", label: "Linear" };
const manifest = {
  capture: "trace",
  recipe: { weights_file: true },
  outputs: [{ name: "conv" }, head],
  results: { "": "fc" },
};
/** @param {number[]} scores @returns {import("../src/tensor.js").Tensor} */
const tensor = (...scores) => ({ dtype: "float32", shape: [1, scores.length], data: Float32Array.from(scores) });

test("the highest class of a trained model is named with its score", () => {
  assert.equal(classScores(manifest), head);
  assert.equal(topClass(head, tensor(-3, -1.5, -7)), "Highest class: 1 of 3 (logit −1.5).");
  assert.equal(topClass({ label: "softmax" }, tensor(0.25, 0.75)), "Highest class: 1 of 2 (probability 0.75).");
});

test("nothing is said of random weights, of an embedding, of two results, or of what isn't finite", () => {
  assert.equal(classScores({ ...manifest, recipe: { weights_file: false } }), null);
  assert.equal(classScores({ ...manifest, outputs: [{ ...head, label: "LayerNorm" }] }), null);
  assert.equal(classScores({ ...manifest, results: { 0: "fc", 1: "conv" } }), null);
  assert.equal(topClass(head, tensor(1, NaN)), "");
  assert.equal(topClass(head, tensor(1)), "");
  assert.equal(classScores({ ...manifest, capture: "onnx", recipe: null }), head);
});
