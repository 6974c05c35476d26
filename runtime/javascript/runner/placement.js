// Where ONNX Runtime has put each node, from its log: it says so in no other way in a browser.

const PLACE = /(?:All nodes|Node\(s\)) placed on \[(\w+)\]/;
const NODE = /VerifyEachNodeIsAssignedToAnEp\]\s+(\w+) \((.*)\)$/;

/** @typedef {{ operation: string, name: string }} Node */

/**
 * Return the nodes that run elsewhere than on a provider; null where all do, which the log doesn't list.
 * @param {string[]} log its lines, of a session whose log is verbose
 * @param {string} provider
 * @throws {Error} the log doesn't say where any node runs
 */
export function nodesElsewhere(log, provider) {
  /** @type {Node[]} */
  const elsewhere = [];
  let place = "";
  for (const line of log) {
    const placed = PLACE.exec(line);
    if (placed) {
      place = placed[1];
      if (line.includes("All nodes") && place !== provider) return null;
    } else if (place && place !== provider) {
      const [, operation, name] = NODE.exec(line) ?? [];
      if (operation) elsewhere.push({ operation, name });
    }
  }
  if (!place) throw new Error("ONNX Runtime's log doesn't say where its nodes run");
  return elsewhere;
}
