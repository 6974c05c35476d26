// Neighbours that belong together, by the paths of their modules: the blocks of a model, the outputs at one depth, and
// where a page of a picture ends. The rules are those of `runtime/maps/sections.py` and `runtime/artifact/selection.py`.

import { roundHalfEven } from "../tensor.js";

/** Of the tiles: a block that holds more is no division, and those in it are taken. */
const LARGEST_SHARE = 0.5;
/** Of a page's tiles, by which it may be shorter or longer to end where a block ends. */
const SLACK = 0.4;

/**
 * The block of each tile, the same for neighbours in one; empty for what is in none, or alone in one.
 * @param {string[]} paths the module of each tile
 * @returns {string[]}
 */
export function sectionsOf(paths) {
  const parts = paths.map((path) => (path ? path.split(".") : []));
  const deepest = Math.max(0, ...parts.map((each) => each.length));
  let depth = 1;
  for (; depth < deepest; depth++) {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const each of parts) {
      if (each.length <= depth) continue;
      const block = each.slice(0, depth).join(".");
      counts.set(block, (counts.get(block) ?? 0) + 1);
    }
    if (!counts.size || Math.max(...counts.values()) <= LARGEST_SHARE * paths.length) break;
  }
  const blocks = parts.map((each) => each.slice(0, depth).join("."));
  // The path of one layer alone would only repeat its name.
  return blocks.map((block, index) =>
    block === (blocks[index - 1] ?? "") || block === (blocks[index + 1] ?? "") ? block : "",
  );
}

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

/**
 * The tiles of each page: as few pages as possible, of about as many tiles, that end where a block ends.
 * @param {string[]} paths the module of each tile
 * @param {number} most tiles on a page
 * @returns {[number, number][]} from, to
 */
export function pageRanges(paths, most) {
  const tiles = paths.length;
  const shared = paths.slice(1).map((path, index) => sharedBlocks(paths[index], path));
  const least = Math.min(...shared, Infinity);
  /** @type {[number, number][]} */
  const found = [];
  let start = 0;
  for (let left = Math.ceil(tiles / most); left > 0; left--) {
    const even = Math.ceil((tiles - start) / left);
    let best = even;
    if (left > 1) {
      // What is left must fit the pages that are left.
      const shortest = Math.max(tiles - start - (left - 1) * most, roundHalfEven(even * (1 - SLACK)), 1);
      const longest = Math.min(most, roundHalfEven(even * (1 + SLACK)), tiles - start - (left - 1));
      let lowest = Infinity;
      for (let size = shortest; size <= longest; size++) {
        const depth = shared[start + size - 1] - least;
        const cost = Math.abs(size - even) / even + SLACK * Math.min(depth, 4);
        if (cost < lowest) [best, lowest] = [size, cost];
      }
    }
    found.push([start, start + best]);
    start += best;
  }
  return found;
}

/**
 * How many blocks, one in the other, hold both.
 * @param {string} one
 * @param {string} other
 */
function sharedBlocks(one, other) {
  const [mine, theirs] = [one.split("."), other.split(".")];
  let count = 0;
  while (count < mine.length && mine[count] && mine[count] === theirs[count]) count++;
  return count;
}

/** @param {string} path */
function parentOf(path) {
  return path.slice(0, Math.max(path.lastIndexOf("."), 0));
}
