// onnxruntime-node, and onnxruntime-web by WebAssembly, in this process.

import { open } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

import { Engine } from "./engine.js";

/** @typedef {import("./engine.js").Request} Request */

/** Node reads no more than 2 GiB at once. */
const MOST_AT_ONCE = 2 ** 30;

/**
 * Open a model in the machine's own ONNX Runtime.
 * @param {Request} request
 * @param {Uint8Array} model
 */
export async function openNative(request, model) {
  const ort = requireFrom(request.modules)("onnxruntime-node");
  const engine = await Engine.open(ort, model, {
    executionProviders: ["cpu"],
    graphOptimizationLevel: request.level,
    ...(request.threads && { intraOpNumThreads: request.threads }),
    logSeverityLevel: 3,
    extra: {
      session: {
        model_external_initializers_file_folder_path: request.folder,
        force_spinning_stop: "1",
        intra_op: { allow_spinning: request.spins ? "1" : "0" },
      },
    },
  });
  // It doesn't report how many threads it uses by default.
  const threads = request.threads ? { threads: request.threads } : {};
  return { engine, facts: { version: ort.env.versions.node, node: process.version, ...threads } };
}

/**
 * Open a model in ONNX Runtime Web, by WebAssembly.
 * @param {Request} request
 * @param {Uint8Array} model
 */
export async function openWasm(request, model) {
  const ort = requireFrom(request.modules)("onnxruntime-web");
  if (request.threads) ort.env.wasm.numThreads = request.threads;
  const externalData = [];
  for (const name of request.files) externalData.push({ path: name, data: await readAll(join(request.folder, name)) });
  const engine = await Engine.open(ort, model, {
    executionProviders: ["wasm"],
    graphOptimizationLevel: request.level,
    externalData,
  });
  return { engine, facts: { version: ort.env.versions.web, node: process.version, threads: ort.env.wasm.numThreads } };
}

/**
 * Return a `require` that finds packages in a folder, or in its `node_modules`.
 * @param {string} folder
 */
export function requireFrom(folder) {
  return createRequire(join(folder, "_"));
}

/**
 * Return a file's content, of any size.
 * @param {string} path
 */
async function readAll(path) {
  const file = await open(path);
  try {
    const bytes = new Uint8Array((await file.stat()).size);
    for (let done = 0; done < bytes.length;) {
      const { bytesRead } = await file.read(bytes, done, Math.min(MOST_AT_ONCE, bytes.length - done), done);
      if (bytesRead === 0) throw new Error(`${path} ended after ${done} of ${bytes.length} bytes`);
      done += bytesRead;
    }
    return bytes;
  } finally {
    await file.close();
  }
}
