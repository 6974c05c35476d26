// Judges files of tensors for Python's tests, which know what has to come out, all in one process:
// node judge_tensors.js OUT.json ARTIFACT TENSORS.safetensors [ARTIFACT TENSORS.safetensors ...]

import { readFileSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

import { openArtifact } from "../src/artifact.js";
import { folder } from "../src/node_folder.js";
import { readSafetensors } from "../src/safetensors.js";
import { judge } from "../src/verdict/judge.js";

const [, , out, ...places] = process.argv,
  reports = [];
for (let place = 0; place < places.length; place += 2) {
  const [artifact, file] = places.slice(place, place + 2),
    { tensors, metadata } = readSafetensors(readFileSync(file));
  const started = performance.now();
  reports.push(await judge(await openArtifact(folder(artifact)), tensors, { metadata, name: basename(file) }));
  if (process.env.TIMES) process.stderr.write(`${artifact}: ${((performance.now() - started) / 1000).toFixed(2)} s\n`);
}
writeFileSync(out, JSON.stringify(reports));
