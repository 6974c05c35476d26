// Stages of a model, by the sizes of its maps: their names, of a U-Net those of its two halves; what each returns; and
// poolings, which only make what is before them smaller. The rules of `runtime/maps/stages.py`.

import { numberedPaths } from "./blocks.js";
import { sameSize } from "./feature_maps.js";

/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */

/** Operations that change no picture: what is before them has the better name. */
const MOVES =
  /^(?:permute|transpose|reshape|view|flatten|identity|dropout|contiguous|layer_?norm(?:2d)?)(?:\.[\p{L}\p{N}_]+)?(?:_\p{Nd}+)?$/iu;

/** Blocks of one size, of which more have a first, a middle and a last one. */
const FEWEST = 3;

/**
 * The maps, each with the name of its stage: the neighbours of one height and width. Where the maps become smaller and
 * then as large as before, as in a U-Net, the stages are of its encoder and decoder. If all are of one size, that is the
 * number of blocks, if known.
 * @param {FeatureMap[]} maps
 * @param {number} [blocks]
 * @returns {FeatureMap[]}
 */
export function withStages(maps, blocks = 0) {
  const runs = runsOfOneSize(maps);
  const names = stageNames(runs.map(([first]) => first.height * first.width), blocks);
  return runs.flatMap((run, index) => run.map((map) => ({ ...map, stage: names[index] })));
}

/**
 * @param {number[]} areas the number of pixels of each stage
 * @param {number} blocks
 * @returns {string[]}
 */
function stageNames(areas, blocks) {
  if (areas.length < 2) return [blocks > 1 ? `${blocks} blocks` : "one size"];
  const lowest = areas.indexOf(Math.min(...areas));
  const [down, up] = [areas.slice(0, lowest + 1), areas.slice(lowest)];
  const falls = down.every((area, index) => index === 0 || down[index - 1] > area);
  const rises = up.length > 2 && up.every((area, index) => index === 0 || up[index - 1] < area);
  if (!(falls && rises && down.length > 2)) return areas.map((_, index) => `stage ${index + 1}`);
  return [
    ...Array.from({ length: lowest }, (_, index) => `encoder ${index + 1}`),
    "bottleneck",
    ...Array.from({ length: areas.length - lowest - 1 }, (_, index) => `decoder ${index + 1}`),
  ];
}

/**
 * The names of what is drawn although it looks like others: the last of each stage, which is what it returns; where there
 * is one size, the first, the middle and the last block.
 * @param {FeatureMap[]} maps
 * @returns {Set<string>}
 */
export function landmarks(maps) {
  const moved = maps.filter((map) => !MOVES.test(whatOf(map)));
  const some = moved.length ? moved : maps;
  const ends = runsOfOneSize(some).map((run) => run[run.length - 1]);
  const numbered = numberedPaths(some.map((map) => map.path));
  const blocks = some.filter((map) => numbered.has(map.path));
  if (ends.length > 1 || blocks.length <= FEWEST) return new Set(ends.map((map) => map.name));
  return new Set([0, Math.floor((blocks.length - 1) / 2), blocks.length - 1].map((at) => blocks[at].name));
}

/**
 * The maps without poolings, if there are others, and the others' names: the picture is that of the map before, made
 * smaller.
 * @param {FeatureMap[]} maps
 * @returns {{ maps: FeatureMap[], pooled: string[] }}
 */
export function withoutPoolings(maps) {
  const pooled = maps.every(isPooling) ? [] : maps.filter(isPooling);
  return { maps: maps.filter((map) => !pooled.includes(map)), pooled: pooled.map((map) => map.name) };
}

/** @param {FeatureMap} map */
const isPooling = (map) => whatOf(map).toLowerCase().includes("pool");

/**
 * The operation, which may be said by the name alone.
 * @param {FeatureMap} map
 */
const whatOf = ({ operation, name }) => operation || name.slice(name.lastIndexOf(".") + 1);

/**
 * The neighbours of one height and width.
 * @param {FeatureMap[]} maps
 */
export function runsOfOneSize(maps) {
  /** @type {FeatureMap[][]} */
  const runs = [];
  for (const map of maps) {
    const [last] = runs.slice(-1);
    if (last && sameSize(last[0], map)) last.push(map);
    else runs.push([map]);
  }
  return runs;
}
