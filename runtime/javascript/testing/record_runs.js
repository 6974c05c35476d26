// node testing/record_runs.js ARTIFACT FOLDER [sampled]: runs every recorded input in onnxruntime-node, and writes what it
// computes as FOLDER/NUMBER.safetensors, for `layerprobe verify ARTIFACT --tensors`.

import { writeFile } from "node:fs/promises";
import path from "node:path";
import * as ort from "onnxruntime-node";

import { openArtifact, openRunner, recordedInputs, recordedRun } from "layerprobe";
import { folder } from "layerprobe/node_folder";

const [from, to, sampled] = process.argv.slice(2);
const artifact = await openArtifact(folder(from));
const runner = await openRunner(artifact, ort);
for (const recorded of await recordedInputs(artifact)) {
  const file = recordedRun(recorded, await runner.run(recorded.inputs), { sampled: sampled === "sampled" });
  await writeFile(path.join(to, `${recorded.number}.safetensors`), file);
}
