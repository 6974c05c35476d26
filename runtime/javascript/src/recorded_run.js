// The inputs that an artifact records, and what was computed from one of them as a file that `layerprobe verify ARTIFACT
// --tensors FILE` judges.

import { REFERENCE_FILE } from "./artifact.js";
import { ArtifactError } from "./errors.js";
import { oneLine } from "./plain_text.js";
import { readSafetensors, writeSafetensors } from "./safetensors.js";
import { sample } from "./sample.js";

/** @typedef {import("./artifact.js").Artifact} Artifact */
/** @typedef {import("./tensor.js").Tensor} Tensor */
/** @typedef {import("./tensor.js").Tensors} Tensors */

const INPUT = /^(\d{1,6})\/input:/;
const TRUTH = /^(\d{1,6})\/truth:/;

/**
 * @typedef {object} RecordedInput
 * @property {number} number from 0
 * @property {string} name `noise`, `a photo`
 * @property {Tensors} inputs by the names of the model's inputs
 * @property {Map<string, number>} sampled by output, how many of its elements are kept of the truth
 */

/**
 * @param {Artifact} artifact
 * @returns {Promise<RecordedInput[]>}
 * @throws {ArtifactError} the reference is missing, altered, or none
 */
export async function recordedInputs(artifact) {
  const { tensors, metadata } = readSafetensors(await artifact.bytes(REFERENCE_FILE));
  /** @type {unknown} */
  let told;
  try {
    told = JSON.parse(metadata.get("layerprobe.reference") ?? "");
  } catch {
    told = undefined;
  }
  if (!Array.isArray(told) || !told.length || !told.every((each) => typeof each?.name === "string")) {
    throw new ArtifactError(`${artifact.place.name}: the reference records no input.\nExport the artifact again.`);
  }
  /** @type {RecordedInput[]} */
  const recorded = told.map(({ name }, number) => ({
    number,
    name: oneLine(name),
    inputs: new Map(),
    sampled: new Map(),
  }));
  for (const [key, tensor] of tensors) {
    const [prefix, number] = INPUT.exec(key) ?? [];
    if (prefix !== undefined) recorded[Number(number)]?.inputs.set(key.slice(prefix.length), tensor);
    const [before, of] = TRUTH.exec(key) ?? [];
    if (before !== undefined) recorded[Number(of)]?.sampled.set(key.slice(before.length), tensor.data.length);
  }
  return recorded;
}

/**
 * A run of a recorded input, to be judged by `layerprobe verify ARTIFACT --tensors FILE`.
 *
 * @param {RecordedInput} recorded
 * @param {Tensors} outputs by name
 * @param {object} [options]
 * @param {Record<string, string>} [options.facts] what may explain a drift, such as `device`: shown in the report
 * @param {boolean} [options.sampled] whether of a large tensor only its sample is written: a tenth of the size, but an
 *   operation is then judged together with those before it whose tensors aren't whole
 * @param {boolean} [options.asExported] whether the artifact's `model.onnx` was run as it is, as `openRunner` does it
 * @returns {Uint8Array} a safetensors file
 */
export function recordedRun({ number, inputs, sampled }, outputs, options = {}) {
  const metadata = new Map(Object.entries(options.facts ?? {}));
  metadata.set("layerprobe.recorded_input", String(number));
  if (options.asExported ?? true) metadata.set("layerprobe.file", "model.onnx");
  /** @type {Tensors} */
  const tensors = new Map();
  /** @type {Record<string, number[]>} */
  const shapes = Object.create(null);
  for (const [name, tensor] of outputs) {
    const kept = options.sampled ? (sampled.get(name) ?? Infinity) : Infinity;
    if (tensor.data.length > kept) shapes[name] = tensor.shape;
    tensors.set(name, tensor.data.length > kept ? sampleOf(tensor, kept) : tensor);
  }
  if (Object.keys(shapes).length) metadata.set("layerprobe.samples", JSON.stringify(shapes));
  for (const [name, tensor] of inputs) tensors.set(`input:${name}`, tensor);
  return writeSafetensors(tensors, metadata);
}

/**
 * @param {Tensor} tensor
 * @param {number} kept
 * @returns {Tensor} flat
 */
function sampleOf({ dtype, data }, kept) {
  return { dtype, shape: [kept], data: sample(data, kept) };
}
