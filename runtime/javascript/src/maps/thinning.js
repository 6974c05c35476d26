// The maps of an overview made fewer: what looks alike, noise, checkerboards, and most of what is weak. The rules of
// `runtime/maps/thinning.py`; what shows nothing at all is found in `feature_maps.js`, how two maps are compared in
// `likeness.js`.

import { branchNames, within } from "./blocks.js";
import { BRANCH, WEAK, badged, isWeak, sameSize } from "./feature_maps.js";
import { areWeak, blurred, dot, isCheckerboard, isNoise } from "./likeness.js";
import { runsOfOneSize } from "./stages.js";

/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/**
 * @typedef {object} Differing the maps of which none looks like another
 * @property {FeatureMap[]} maps
 * @property {Map<string, string>} twins of those that aren't among them: the name of the one that stands for it, too
 * @property {Set<string>} noise those of these that look alike only in being noise
 */
/**
 * @typedef {object} Room what a page of an overview has room for
 * @property {number} taken by other tiles, as the photo
 * @property {number | null} columns that are asked for
 */

/** Maps of an overview: with the photo, 12 tiles, whose text is read also on paper. */
export const MOST_SHOWN = 11;
/**
 * Pearson's correlation of two maps of one size, a little blurred, from which on the second tells nothing new: where all
 * have room; and in an overview, the first by which few enough are left.
 */
const SIMILAR = 0.97;
const ALIKE_AT_A_GLANCE = [0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6];
/** The same where fewer are left. */
const STRICTER = [0.93, 0.95, 0.97, 0.98, 0.99];
const FEWEST = 4;
/** Tiles that no even rows hold. */
const RAGGED = [7, 11];
/** Of the maps, whose mean is noise: it is no picture of this model. */
const TOO_MANY = 0.2;

/**
 * Whether so many tiles fill all rows.
 * @param {Room} room
 * @param {number} tiles
 */
function isFilled({ taken, columns }, tiles) {
  return columns ? (taken + tiles) % columns === 0 : !RAGGED.includes(taken + tiles);
}

/**
 * Whether the mean over the channels shows nothing in one of the maps, or noise in too many.
 * @param {FeatureMap[]} maps
 */
export function meansSayLittle(maps) {
  const shown = maps.filter((map) => map.leftOut === null);
  return shown.some((map) => map.reduction !== "mean") || shown.filter(isNoise).length > TOO_MANY * shown.length;
}

/**
 * The maps without those that look like another of their size among their neighbours.
 * @param {FeatureMap[]} maps in the order of execution
 * @param {Room | null} room of an overview, for which looking alike at a glance is enough. One more fills its last row,
 *   if that differs somewhat.
 * @param {Set<string>} stay the names of those to keep although they look like an earlier one, in place of which the last
 *   of them is
 * @returns {Differing}
 */
export function differing(maps, room, stay) {
  const pictures = maps.map(blurred);
  const noise = maps.map((map) => room !== null && isNoise(map));
  let twins = enoughTwins(maps, pictures, noise, room !== null);
  if (room) {
    twins = ledBy(stay, maps, twins);
    if (!isFilled(room, kept(twins))) {
      const quiet = twins.map((twin, index) => (noise[index] ? null : twin));
      const one = leastAlike(maps, pictures, quiet);
      twins = twins.map((twin, index) => (index === one ? null : twin));
    }
  }
  return {
    maps: maps.filter((_, index) => twins[index] === null),
    twins: new Map(maps.flatMap((map, index) => twinNames(maps, map, twins[index]))),
    noise: new Set(maps.filter((_, index) => noise[index]).map((map) => map.name)),
  };
}

/**
 * The twins by the first limit that leaves few enough, and not too few.
 * @param {FeatureMap[]} maps
 * @param {Float64Array[]} pictures
 * @param {boolean[]} noise
 * @param {boolean} few
 */
function enoughTwins(maps, pictures, noise, few) {
  /** @type {(number | null)[]} */
  let twins = [];
  for (const limit of few ? ALIKE_AT_A_GLANCE : [SIMILAR]) {
    twins = twinsOf(maps, pictures, noise, limit);
    if (kept(twins) <= MOST_SHOWN) break;
  }
  for (const limit of STRICTER) {
    const more = twinsOf(maps, pictures, noise, limit);
    if (kept(twins) >= Math.min(FEWEST, maps.length) || kept(more) > MOST_SHOWN) break;
    twins = more;
  }
  return twins;
}

/**
 * @param {FeatureMap[]} maps
 * @param {FeatureMap} map
 * @param {number | null} twin
 * @returns {[string, string][]}
 */
const twinNames = (maps, map, twin) => (twin === null ? [] : [[map.name, maps[twin].name]]);

/** @param {(number | null)[]} twins */
const kept = (twins) => twins.filter((twin) => twin === null).length;

/**
 * For each map the index of the one that stands for it, too, if one does.
 * @param {FeatureMap[]} maps
 * @param {Float64Array[]} pictures
 * @param {boolean[]} noise
 * @param {number} limit
 * @returns {(number | null)[]}
 */
function twinsOf(maps, pictures, noise, limit) {
  /** @type {(number | null)[]} */
  const twins = [];
  /** @type {number[]} those kept of this size, the last first */
  let before = [];
  maps.forEach((map, index) => {
    if (index && !sameSize(maps[index - 1], map)) before = [];
    const isTwin = (/** @type {number} */ each) =>
      (noise[each] && noise[index]) || agreement(maps, pictures, each, index) >= limit;
    const twin = before.find(isTwin) ?? null;
    twins.push(twin);
    if (twin === null) before.unshift(index);
  });
  return twins;
}

/**
 * @param {FeatureMap[]} maps
 * @param {Float64Array[]} pictures
 * @param {number} one
 * @param {number} other
 */
function agreement(maps, pictures, one, other) {
  const found = dot(pictures[one], pictures[other]);
  return maps[one].share === null ? found : Math.abs(found); // a component has no sign
}

/**
 * Which of the maps that have a twin is least like any that is drawn of its size; null if all are so.
 * @param {FeatureMap[]} maps
 * @param {Float64Array[]} pictures
 * @param {(number | null)[]} twins
 */
function leastAlike(maps, pictures, twins) {
  const drawn = maps.flatMap((_, index) => (twins[index] === null ? [index] : []));
  /** @type {number | null} */
  let found = null;
  let least = SIMILAR;
  maps.forEach((map, index) => {
    if (twins[index] === null) return;
    const ofItsSize = drawn.filter((each) => sameSize(maps[each], map));
    const most = Math.max(...ofItsSize.map((each) => agreement(maps, pictures, each, index)));
    if (most < least) [found, least] = [index, most];
  });
  return found;
}

/**
 * The maps without checkerboards, as of a fresh transposed convolution, that a map of the same size follows, and the
 * others' names.
 * @param {FeatureMap[]} maps
 * @returns {{ maps: FeatureMap[], boards: string[] }}
 */
export function withoutCheckerboards(maps) {
  const boards = maps.filter((map, index) => {
    const after = maps[index + 1];
    return after && sameSize(map, after) && isCheckerboard(map);
  });
  return { maps: maps.filter((map) => !boards.includes(map)), boards: boards.map((map) => map.name) };
}

/**
 * The twins, with what stays in place of the earlier map that stood for it.
 * @param {Set<string>} stay
 * @param {FeatureMap[]} maps
 * @param {(number | null)[]} twins
 * @returns {(number | null)[]}
 */
function ledBy(stay, maps, twins) {
  const isMark = maps.map((map) => stay.has(map.name));
  /** @type {Map<number, number>} */
  const led = new Map();
  twins.forEach((twin, index) => {
    if (isMark[index] && twin !== null && !isMark[twin]) led.set(twin, index);
  });
  return twins.map((twin, index) => (isMark[index] ? null : (led.get(twin ?? index) ?? twin)));
}

/**
 * The maps without those that are weak, and the others' names. The last of a stage stays if all of it is weak, and the
 * last of all.
 * @param {FeatureMap[]} maps
 * @returns {{ maps: FeatureMap[], weak: string[] }}
 */
export function strongestAndLast(maps) {
  const weak = areWeak(maps);
  const marked = maps.map((map, index) => (weak[index] ? badged(map, WEAK) : map));
  const found = runsOfOneSize(marked).flatMap((stage) => {
    const strong = stage.filter((map) => !isWeak(map) || map === marked[marked.length - 1]);
    return strong.length ? strong : stage.slice(-1);
  });
  const names = new Set(found.map((map) => map.name));
  return { maps: found, weak: maps.filter((map) => !names.has(map.name)).map((map) => map.name) };
}

/**
 * The maps, those that aren't weak marked which are a branch of a block.
 * @param {FeatureMap[]} maps that are drawn
 * @param {[FeatureMap, FeatureMap][]} repeats what looks like one of them, and that one: a block's sum that looks like
 *   what the block was given
 * @param {any[]} outputs of which these are, in the order of execution
 * @param {Iterable<string>} sums the blocks that are known to return something else than what their last module does
 * @returns {FeatureMap[]}
 */
export function withBranches(maps, repeats, outputs, sums) {
  const alike = repeats.filter(([each, twin]) => each.path && !within(twin.path, each.path)).map(([each]) => each.path);
  const branches = branchNames(outputs, new Set([...alike, ...sums]));
  return maps.map((map) => (!isWeak(map) && branches.has(map.name) ? badged(map, BRANCH) : map));
}
