import assert from "node:assert/strict";
import { test } from "node:test";

import { nodesElsewhere } from "../runner/placement.js";

const GPU = "WebGpuExecutionProvider";
const LOG = `
2026-11-26 21:04:13.77 [V:onnxruntime:, session_state.cc:1377 VerifyEachNodeIsAssignedToAnEp] Node placements
2026-11-26 21:04:13.78 [V:onnxruntime:, session_state.cc:1383 VerifyEachNodeIsAssignedToAnEp]  Node(s) placed on [CPUExecutionProvider]. Number of nodes: 2
2026-11-26 21:04:13.78 [V:onnxruntime:, session_state.cc:1385 VerifyEachNodeIsAssignedToAnEp]   Squeeze (size::flatten/Squeeze::1)
2026-11-26 21:04:13.78 [V:onnxruntime:, session_state.cc:1385 VerifyEachNodeIsAssignedToAnEp]   NonZero (found (all))
2026-11-26 21:04:13.78 [V:onnxruntime:, session_state.cc:1383 VerifyEachNodeIsAssignedToAnEp]  Node(s) placed on [${GPU}]. Number of nodes: 1
2026-11-26 21:04:13.78 [V:onnxruntime:, session_state.cc:1385 VerifyEachNodeIsAssignedToAnEp]   Relu (relu)
2026-11-26 21:04:13.79 [I:onnxruntime:, session_state_utils.cc:298 SaveInitializedTensors] Saving initialized tensors.
`.split("\n");

test("nodes on the CPU are named, and those on the GPU aren't", () => {
  assert.deepEqual(nodesElsewhere(LOG, GPU), [
    { operation: "Squeeze", name: "size::flatten/Squeeze::1" },
    { operation: "NonZero", name: "found (all)" },
  ]);
});

test("where all nodes are in one place, the log lists none", () => {
  const all = (/** @type {string} */ place) => [
    `VerifyEachNodeIsAssignedToAnEp]  All nodes placed on [${place}]. Number of nodes: 3`,
  ];
  assert.deepEqual(nodesElsewhere(all(GPU), GPU), []);
  assert.equal(nodesElsewhere(all("CPUExecutionProvider"), GPU), null);
});

test("a log that says nothing of places is an error, and no proof", () => {
  assert.throws(() => nodesElsewhere(["Session successfully initialized."], GPU), /doesn't say where/);
});
