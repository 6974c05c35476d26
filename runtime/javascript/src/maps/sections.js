// Neighbours that belong together, by the paths of their modules: the blocks of a model, and where a page may end. The
// rules of `runtime/maps/sections.py`; how large a tile is, and where it is on its page, is in `tile_places.js`.

import { roundHalfEven } from "../tensor.js";
import { sameSize, sizeText } from "./feature_maps.js";

/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/**
 * @typedef {object} Section some neighbours of one height and width, and what all of them have, so that it is said once
 * @property {string} name `56 × 56`, or what else they are
 * @property {string} within the module that holds them; empty if there is none, or one alone, whose name says it
 * @property {number | null} channels of each; null where they differ
 * @property {number} count
 * @property {string} stage what it is called in an overview, whose tiles say the channels themselves
 */

/** Of a page's tiles, by which it may be shorter or longer to end where a block ends. */
const SLACK = 0.4;

/**
 * What is said after a section's name.
 * @param {Section} section
 */
export const besideOf = ({ stage, channels, within }) =>
  stage || [channels ? `${channels} ch` : "", within].filter(Boolean).join(" · ");

/**
 * The sections of maps, which hold all of them; none where they would say nothing. A section is what follows one another
 * at one height and width: a stage of the model.
 * @param {FeatureMap[]} maps
 * @returns {Section[]}
 */
export function sectionsOf(maps) {
  if (!maps.every((map) => map.size.length)) return [];
  /** @type {FeatureMap[][]} */
  const groups = [];
  for (const map of maps) {
    const [last] = groups.slice(-1);
    if (last && sameSize(last[0], map)) last.push(map);
    else groups.push([map]);
  }
  const found = groups.map(sectionOf);
  if (maps.length && maps[0].stage) return found;
  return found.length < maps.length && (found.length > 1 || found[0].within) ? found : [];
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

/**
 * @param {FeatureMap[]} maps
 * @returns {Section}
 */
function sectionOf(maps) {
  const [first] = maps;
  return {
    name: sizeText([first.height, first.width]),
    within: maps.length > 1 ? commonModule(maps.map((map) => map.path)) : "",
    channels: maps.every((map) => map.size[0] === first.size[0]) ? first.size[0] : null,
    count: maps.length,
    stage: first.stage,
  };
}

/**
 * The module around all paths: `layer1`; with the first and last of its parts if it holds more, too.
 * @param {string[]} paths
 */
function commonModule(paths) {
  const parts = paths.map((path) => path.split("."));
  let depth = 0;
  while (parts.every((each) => each.length > depth && each[depth] === parts[0][depth])) depth++;
  const around = parts[0].slice(0, depth);
  const [first, last] = [parts[0][depth], parts[parts.length - 1][depth]];
  const isNumber = (/** @type {string | undefined} */ part) => part !== undefined && /^\p{Nd}+$/u.test(part);
  return (isNumber(first) && isNumber(last) ? [...around, `${first}–${last}`] : around).join(".");
}
