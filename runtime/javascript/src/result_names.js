// Names of outputs that ONNX Runtime loses or mixes up in JavaScript: it keeps what it returns in plain objects, which
// have names of their own.

/** Set in a plain object, it becomes no entry: what was computed is lost. */
const LOST = "__proto__";

/**
 * @param {readonly string[]} outputs
 * @returns {string | undefined} of these, the one that ONNX Runtime computes and can't return
 */
export function lostOutput(outputs) {
  return outputs.find((name) => name === LOST);
}

/**
 * @param {readonly string[]} all outputs of the model
 * @param {readonly string[]} wanted
 * @returns {string[]} what to request: the wanted, and those that onnxruntime-node takes for requested in any case, with
 *   a method of every object as the tensor to write into
 */
export function requested(all, wanted) {
  return [...wanted, ...all.filter((name) => name in Object.prototype && !wanted.includes(name))];
}
