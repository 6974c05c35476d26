// node testing/record_on_webgpu.js ARTIFACT FOLDER: runs every recorded input in ONNX Runtime Web's WebGPU under Node, on
// this machine's GPU by way of Vulkan, and writes FOLDER/NUMBER.safetensors for `layerprobe verify ARTIFACT --tensors`.
// It shows what a browser's WebGPU computes where no browser with a GPU is at hand. LAYERPROBE_DAWN is the npm package
// webgpu (Dawn for Node): a folder.

import { writeFile } from "node:fs/promises";
import path from "node:path";
import { pathToFileURL } from "node:url";

import { openArtifact, openRunner, recordedInputs, recordedRun } from "layerprobe";
import { folder } from "layerprobe/node_folder";

const [from, to] = process.argv.slice(2);
const dawn = pathToFileURL(path.resolve(process.env.LAYERPROBE_DAWN ?? "node_modules/webgpu", "index.js"));
const { create, globals } = await import(dawn.href);
const { writeBuffer } = globals.GPUQueue.prototype;
// ONNX Runtime Web computes in shared memory, of which Dawn for Node takes no view.
globals.GPUQueue.prototype.writeBuffer = function (
  /** @type {any} */ buffer,
  /** @type {number} */ at,
  /** @type {Uint8Array} */ data,
  /** @type {number[]} */ ...rest
) {
  return writeBuffer.call(this, buffer, at, data.buffer instanceof SharedArrayBuffer ? data.slice() : data, ...rest);
};
Object.assign(globalThis, globals);
const gpu = create([]);
Object.defineProperty(globalThis, "navigator", { value: { gpu, hardwareConcurrency: 1 } });
const { info } = (await gpu.requestAdapter()) ?? {};
if (!info) throw new Error("Vulkan finds no GPU that WebGPU could use.");
console.log([info.vendor, info.architecture, info.device, info.description].filter(Boolean).join(", "));

const ort = await import(/** @type {any} */ ("onnxruntime-web/webgpu"));
ort.env.wasm.numThreads = 1;
const artifact = await openArtifact(folder(from));
const runner = await openRunner(artifact, ort, { session: { executionProviders: ["webgpu"] } });
for (const recorded of await recordedInputs(artifact)) {
  const outputs = await runner.run(recorded.inputs);
  const started = performance.now();
  await runner.run(recorded.inputs);
  console.log(`input ${recorded.number}: ${outputs.size} outputs, again in ${Math.round(performance.now() - started)} ms`);
  await writeFile(path.join(to, `${recorded.number}.safetensors`), recordedRun(recorded, outputs, { sampled: true }));
}
process.exit(0); // Dawn keeps Node from ending.
