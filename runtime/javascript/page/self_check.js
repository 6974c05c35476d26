// Runs the artifact's first recorded input in this browser, and judges each operation as `layerprobe verify` does.

import { openRunner, recordedInputs } from "../src/index.js";
import { judge } from "../src/verdict/judge.js";

/**
 * @param {import("./site_model.js").SiteModel} model
 * @param {string} backend
 * @returns {Promise<any>} a report, as `verify --json` writes it
 */
export async function judgedHere(model, backend) {
  const [recorded] = await recordedInputs(model.artifact);
  const tensors = await computed(model, backend, recorded.inputs);
  return judge(model.artifact, tensors, {
    name: `onnx-web, ${backend}`,
    recordedInput: recorded.number,
    readsOnnx: true,
    providers: [backend],
    metadata: new Map([
      ["runtime", model.facts.runtime],
      ["browser", navigator.userAgent],
    ]),
  });
}

/**
 * On the runner that draws, where it is the same backend, else on one for this alone.
 * @param {import("./site_model.js").SiteModel} model
 * @param {string} backend
 * @param {import("../src/index.js").Tensors} inputs
 */
async function computed(model, backend, inputs) {
  if (backend === model.backend) return (await model.runner("full")).run(inputs);
  const session = { executionProviders: [backend] };
  const runner = await openRunner(model.artifact, await model.runtime(backend), { session });
  try {
    return await runner.run(inputs);
  } finally {
    await runner.release();
  }
}
