// Runs the artifact's recorded input in this browser.

import { OnnxRunner, openRunner, recordedInputs } from "../src/index.js";

/** @typedef {import("./model_run.js").ModelRun} ModelRun */

/**
 * @param {ModelRun} model
 * @param {string} backend
 */
export async function judgedHere(model, backend) {
  throw new Error(`not yet ${backend} ${model}`);
}
