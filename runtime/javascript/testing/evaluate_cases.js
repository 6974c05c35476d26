// Evaluates graphs in float64 for Python's tests, which know what has to come out:
// node evaluate_cases.js CASES.safetensors OUT.safetensors
//
// Of each case, `NAME/model` (the bytes of an ONNX file), `NAME/input:X`, and perhaps `NAME/lost:X` -> `NAME/value:Y`,
// `NAME/scale:Y` (broadcast to the value) of each of its results; `NAME/unknown:Y`, a text in the metadata, where Y can't
// be computed.

import { readFileSync, writeFileSync } from "node:fs";

import { Float64Graph, Unknown } from "../src/float64/graph.js";
import { readOnnx } from "../src/float64/onnx_graph.js";
import { broadcastTo } from "../src/float64/values.js";
import { readSafetensors, writeSafetensors } from "../src/safetensors.js";
import { valuesOf } from "../src/verdict/tensors.js";

const [, , from, to] = process.argv;
const { tensors, metadata } = readSafetensors(readFileSync(from));
const rounds = metadata.get("rounds") !== "no";
const out = new Map(),
  unknown = /** @type {Record<string, string>} */ ({});
const names = [...tensors.keys()].filter((key) => key.endsWith("/model")).map((key) => key.slice(0, -"/model".length));

for (const name of names) {
  const model = readOnnx(/** @type {Uint8Array} */ (tensors.get(`${name}/model`)?.data), () => new Uint8Array());
  const given = [...tensors].filter(([key]) => key.startsWith(`${name}/input:`));
  const inputs = new Map(given.map(([key, tensor]) => [key.slice(name.length + "/input:".length), valuesOf(tensor)]));
  const graph = new Float64Graph(model, model.graph.outputs);
  /** @type {import("../src/float64/graph.js").Step[]} */
  const steps = [];
  if (rounds) steps.push(...graph.walkWithScales(inputs));
  else {
    graph.walkJudging(
      inputs,
      (output, value, scale) => {
        steps.push({ name: output, value, scale });
        return value;
      },
      new Map(),
    );
  }
  for (const { name: output, value, scale } of steps) {
    if (value instanceof Unknown) {
      unknown[`${name}/unknown:${output}`] = value.reason;
      continue;
    }
    const own = broadcastTo(scale.own, value.shape);
    out.set(`${name}/value:${output}`, {
      dtype: "float64",
      shape: [...value.shape],
      data: Float64Array.from(value.data),
    });
    out.set(`${name}/scale:${output}`, {
      dtype: "float64",
      shape: [...value.shape],
      data: Float64Array.from(own.data),
    });
  }
}
writeFileSync(to, writeSafetensors(out, unknown));
