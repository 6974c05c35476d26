// The tensors of the last photo as a safetensors file, which `layerprobe verify` judges. They are computed part by part, and
// handed to the browser as they come, so that those of a large model are never in memory all at once.

import { ONNX_FILE } from "../src/artifact.js";
import { safetensorsHeader } from "../src/index.js";
import { partsOf } from "./model_run.js";

/** @typedef {import("../src/index.js").Tensor} Tensor */

/**
 * @param {import("./model_run.js").ModelRun} run
 * @param {string[] | null} names of the outputs; null for all
 * @returns {Promise<{ content: Blob, count: number }>} the file, which has what the model was given, too, and how many
 *   outputs are in it
 */
export async function tensorFile(run, names) {
  const { manifest } = run.artifact;
  const outputs = manifest.outputs.filter((/** @type {any} */ each) => names === null || names.includes(each.name));
  /** @type {Map<string, { tensor: Pick<Tensor, "dtype" | "shape">, bytes: Blob }>} */
  const kept = new Map();
  const keep = (/** @type {string} */ name, /** @type {Tensor} */ { dtype, shape, data }) =>
    kept.set(name, { tensor: { dtype, shape }, bytes: new Blob([/** @type {any} */ (data)]) });
  for (const part of partsOf(outputs)) {
    const tensors = await run.run(
      "full",
      part.map((output) => output.name),
    );
    for (const [name, tensor] of tensors) keep(name, tensor);
  }
  for (const [name, input] of run.input ?? []) keep(`input:${name}`, input);
  const entries = [...kept].map(([name, { tensor }]) => /** @type {[string, typeof tensor]} */ ([name, tensor]));
  const { header, names: ordered } = safetensorsHeader(entries, metadataOf(run.model));
  const bytes = ordered.map((name) => /** @type {{ bytes: Blob }} */ (kept.get(name)).bytes);
  return { content: new Blob([header, ...bytes], { type: "application/octet-stream" }), count: outputs.length };
}

/**
 * What `verify` reads of a file of tensors: the runtime, and that it ran the model as it was exported.
 * @param {import("./site_model.js").SiteModel} model
 */
function metadataOf({ artifact, facts, backend }) {
  return {
    "layerprobe.model": artifact.manifest.model,
    "layerprobe.file": ONNX_FILE,
    runtime: facts.runtime,
    backend,
    browser: navigator.userAgent,
  };
}
