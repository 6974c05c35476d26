// What a trained classifier says of a photo, in a few words: the highest class and its score, as
// `runtime/runs/top_class.py`.

import { general, withMinus } from "../src/number_words.js";
import { numbers } from "../src/tensor.js";

const PROBABLE = ["softmax", "Softmax"];
/** By their labels: what computes scores of classes, and no embedding. */
const HEADS = ["Linear", "linear", "addmm", "Gemm", "MatMul", "Add", ...PROBABLE];

/**
 * The only result of a trained model, if it has a score for each class.
 * @param {any} manifest
 * @returns {any} an output, or null
 */
export function classScores(manifest) {
  const { capture, recipe, outputs } = manifest;
  const isTrained = capture === "onnx" || Boolean(recipe?.weights_file);
  const names = new Set(Object.values(manifest.results));
  const results = outputs.filter((/** @type {any} */ each) => names.has(each.name));
  if (!isTrained || results.length !== 1) return null;
  const [{ layout, label }] = results;
  return layout === "NC" && HEADS.includes(label) ? results[0] : null;
}

/**
 * The sentence; empty where there are no scores to compare.
 * @param {{ label: string }} output as of `classScores`
 * @param {import("../src/tensor.js").Tensor} tensor of it, N C
 */
export function topClass({ label }, tensor) {
  const scores = Array.from(numbers(tensor), Number).slice(0, tensor.shape[1]);
  if (tensor.shape.length !== 2 || scores.length < 2 || !scores.every(Number.isFinite)) return "";
  const best = scores.indexOf(Math.max(...scores));
  const kind = PROBABLE.includes(label) ? "probability" : "logit";
  return withMinus(`Highest class: ${best} of ${scores.length} (${kind} ${general(scores[best], 3)}).`);
}
