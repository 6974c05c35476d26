// Blocks of a model, by the paths of its modules: which depth makes an overview, and what is a branch inside of one. The
// rules of `runtime/maps/blocks.py`; how many of a block's maps are drawn is up to `thinning.js`.

import { atDepth, deepestModule } from "../selection.js";
import { hasMap } from "./channels.js";

/** An output of a manifest. @typedef {any} Output */

/** Maps from which on an overview is of blocks only. */
const CROWDED = 32;
/** Of how many the outermost blocks are taken. */
const ENOUGH = 10;
/** How many it has at least. */
const TELLING = 6;
/** Of the outputs, that a block of several may hold. */
const LARGEST_SHARE = 0.5;
/** Its label in lower case, of PyTorch and of ONNX. */
const SUM = "add";
const LINEAR = ["conv", "batchnorm", "linear", "gemm"];
/** By their labels in lower case, without underscores: of PyTorch's modules and functions, and of ONNX. */
const ACTIVATIONS = /^(?:[a-z]*elu6?|mish|[a-z]*sigmoid|[a-z]*swish|silu|softplus|[a-z]*tanh)$/;

/**
 * What the outermost blocks return that are enough, or else the deepest that aren't too many, and how deep they are; all
 * outputs, and 0, if these are few, or there are no blocks.
 * @param {Output[]} outputs all
 * @param {(some: Output[]) => number} shown how many of some outputs' maps show something new
 * @returns {{ blocks: Output[], depth: number }}
 */
export function ofWholeBlocks(outputs, shown) {
  let found = { blocks: outputs, depth: 0 };
  if (shown(outputs) <= CROWDED) return found;
  for (let depth = 1; depth <= deepestModule(outputs); depth++) {
    const selected = atDepth(outputs, depth);
    if (selected.length === outputs.length) break;
    const some = withMaps(withoutBranches(selected), outputs);
    const maps = shown(some);
    if (!maps || maps > CROWDED) break;
    if (maps >= TELLING) found = { blocks: some, depth };
    if (found.depth === depth && some.filter(hasMap).length >= ENOUGH) break;
  }
  return found;
}

/**
 * Some outputs, in place of one that has no map, as after a channel shuffle, the last of its module's that has one.
 * @param {Output[]} some
 * @param {Output[]} outputs
 * @returns {Output[]}
 */
function withMaps(some, outputs) {
  const found = new Map(some.map((each) => [each.name, each]));
  const last = new Map();
  for (const each of outputs) {
    const path = each.module_path;
    if (found.has(each.name) && path && !hasMap(each)) found.set(each.name, last.get(path) ?? each);
    else if (hasMap(each)) last.set(path, each);
  }
  return [...new Set(found.values())];
}

/**
 * The modules of one kind that are the most, by their numbers: `layers.0` to `layers.11`.
 * @param {(string | null)[]} paths
 * @returns {Set<string>}
 */
export function numberedPaths(paths) {
  /** @type {Map<string, Set<string>>} */
  const kinds = new Map();
  for (const path of paths) {
    if (!path || !/\d/.test(path)) continue;
    const kind = path.replace(/\d+/g, "0");
    kinds.set(kind, (kinds.get(kind) ?? new Set()).add(path));
  }
  return [...kinds.values()].reduce((most, each) => (each.size > most.size ? each : most), new Set());
}

/**
 * Some outputs without linear ones that an activation of their shape among them follows: the mean over what is positive
 * in one channel and negative in the next says less than that over what the activation lets through.
 * @param {Output[]} some of which these are
 * @param {Output[]} outputs all, by which is known what follows directly
 * @returns {Output[]}
 */
export function withoutPreactivations(some, outputs) {
  const names = new Set(some.map((each) => each.name));
  const left = new Set();
  /** @type {Output | null} */
  let after = null;
  for (const each of [...outputs].reverse()) {
    const label = each.label.toLowerCase().replaceAll("_", "");
    const isSame = after !== null && JSON.stringify(after.shape) === JSON.stringify(each.shape);
    const isLinear = LINEAR.some((start) => label.startsWith(start));
    if (isSame && isLinear && hasMap(each)) left.add(each.name); // and after it a batch norm, too
    else after = names.has(each.name) && ACTIVATIONS.test(label) ? each : null;
  }
  return some.filter((each) => !left.has(each.name));
}

/**
 * The outputs without those inside of a block that ends with an operation of its own, as a residual block with its sum:
 * that, and no branch of it, is what the block returns.
 * @param {Output[]} outputs
 * @returns {Output[]}
 */
function withoutBranches(outputs) {
  const blocks = closedBlocks(outputs);
  return outputs.filter((each) => !isBranch(each.module_path, blocks));
}

/**
 * Some outputs and, of each block among them that ends with an operation of its own, what its last module returns: what
 * a residual block adds to its input.
 * @param {Output[]} some
 * @param {Output[]} outputs
 * @returns {Output[]}
 */
export function withBranchEnds(some, outputs) {
  const paths = new Set(some.map((each) => each.module_path));
  const names = new Set(some.map((each) => each.name));
  for (const block of closedBlocks(outputs)) {
    const inside = paths.has(block) ? outputs.filter((each) => isBranch(each.module_path, [block])) : [];
    if (inside.length) names.add(inside[inside.length - 1].name);
  }
  return outputs.filter((each) => names.has(each.name));
}

/**
 * The modules around some of the outputs that end with an operation of their own, which is among them.
 * @param {Output[]} outputs
 * @returns {Set<string>}
 */
export function closedBlocks(outputs) {
  const paths = outputs.map((each) => /** @type {string} */ (each.module_path));
  const found = new Set(paths.filter(Boolean));
  for (const path of found) {
    const held = paths.filter((each) => isBranch(each, [path])).length;
    // What holds more is around the whole model.
    if (held === 0 || held > LARGEST_SHARE * outputs.length) found.delete(path);
  }
  return found;
}

/**
 * The closed blocks that add up: of others, as a stage that only transposes at its end, nothing inside is what the block
 * adds to its input.
 * @param {Output[]} outputs
 * @returns {Set<string>}
 */
export function residualBlocks(outputs) {
  const sums = new Set(outputs.filter(({ label }) => label.toLowerCase() === SUM).map((each) => each.module_path));
  return new Set([...closedBlocks(outputs)].filter((path) => sums.has(path)));
}

/**
 * The outputs inside of the blocks before each one's own last operation: not the activation of its sum.
 * @param {Output[]} outputs
 * @param {Iterable<string>} blocks
 * @returns {Set<string>} their names
 */
export function branchNames(outputs, blocks) {
  const last = new Map(outputs.map((each, at) => [each.module_path, at]));
  const inside = [...blocks].flatMap((block) =>
    outputs.filter((each, at) => at < (last.get(block) ?? 0) && isBranch(each.module_path, [block])),
  );
  return new Set(inside.map((each) => each.name));
}

/**
 * Whether a module is inside of one of the blocks.
 * @param {string} path
 * @param {Iterable<string>} blocks
 */
export function isBranch(path, blocks) {
  for (const block of blocks) if (path.startsWith(`${block}.`)) return true;
  return false;
}

/**
 * Whether a module is a block or inside of it.
 * @param {string} path
 * @param {string} block
 */
export const within = (path, block) => path === block || path.startsWith(`${block}.`);
