// Outputs by the depth of their modules: the rules of `runtime/artifact/selection.py`.

/**
 * The outputs of whole blocks: the last of each module so deep, of each layer above that depth, and of each block above
 * it that ends with an operation of its own.
 * @template {{ module_path: string }} Output
 * @param {Output[]} outputs in the order of execution
 * @param {number} depth 1: `layer4`, 2: `layer4.1`
 * @returns {Output[]} none, if no module is so deep
 */
export function atDepth(outputs, depth) {
  /** @type {Set<string>} */
  const containers = new Set();
  for (const { module_path: path } of outputs) {
    for (let parent = parentOf(path); parent; parent = parentOf(parent)) containers.add(parent);
  }
  /** @type {Output[]} */
  const found = [];
  let before = "";
  outputs.forEach((each, index) => {
    const parts = each.module_path.split(".");
    const block = parts.slice(0, depth).join(".");
    if (!block || (parts.length < depth && containers.has(block))) {
      // What a module computes between its own modules is in none of them; but the last of it is what it returns.
      const after = outputs[index + 1];
      if (block && !(after && `${after.module_path}.`.startsWith(`${block}.`))) found.push(each);
      before = "";
      return;
    }
    if (block === before) found.pop();
    found.push(each);
    before = block;
  });
  return found;
}

/**
 * How deep the modules are.
 * @param {{ module_path: string }[]} outputs
 */
export function deepestModule(outputs) {
  return Math.max(0, ...outputs.map(({ module_path: path }) => (path ? path.split(".").length : 0)));
}

/** @param {string} path */
function parentOf(path) {
  return path.slice(0, Math.max(path.lastIndexOf("."), 0));
}
