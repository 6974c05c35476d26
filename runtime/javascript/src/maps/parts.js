// Several maps of a tensor, in an overview, in place of one: each channel of a model's result of few; where there are few
// maps, also the principal components after the first, in rows of their own. The rules of `runtime/maps/parts.py`; which
// outputs are drawn at all is up to `thinning.js`.

import { isMeanOfFew } from "./feature_maps.js";

/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/** An output of a manifest. @typedef {any} Output */
/**
 * @typedef {object} PartSource what the maps come from
 * @property {(outputs: Output[], maps: FeatureMap[]) => Promise<FeatureMap[][]>} parts for each output its channels, of
 *   which its map is the mean; or the principal components, of which that is the first
 */

/** Maps, below which there is room for another component of each. */
const FEW = 4;
/** Of the channels' variance: a component that holds less in one of the tensors isn't drawn of any. */
const LEAST_SHARE = 0.1;

/**
 * How many tiles more it takes to draw each channel of the last map, where that is the model's result.
 * @param {FeatureMap[]} maps
 */
export function extraChannels(maps) {
  const [before, last] = [maps[maps.length - 2], maps[maps.length - 1]];
  const ends = isMeanOfFew(last) && (!before || before.size[0] > last.size[0]);
  return ends ? last.size[0] - 1 : 0;
}

/**
 * The maps, in place of the mean of a model's few results each of these; after the first principal components of few
 * tensors, the second ones of all, if they say something, and the third ones.
 * @param {PartSource} source
 * @param {Map<string, Output>} outputs by name
 * @param {FeatureMap[]} maps at least one, in the order of execution
 * @returns {Promise<FeatureMap[]>}
 */
export async function inParts(source, outputs, maps) {
  const partsOf = (/** @type {FeatureMap[]} */ some) => source.parts(some.map(({ name }) => outputs.get(name)), some);
  if (extraChannels(maps)) return [...maps.slice(0, -1), ...(await partsOf(maps.slice(-1)))[0]];
  if (maps.length > FEW || maps.some(({ share }) => share === null)) return maps;
  const parts = await partsOf(maps);
  const count = Math.min(...parts.map(({ length }) => length));
  const [firsts, ...others] = Array.from({ length: count }, (_, row) => parts.map((each) => each[row]));
  const telling = others.filter((row) => row.every(({ share }) => (share ?? 0) >= LEAST_SHARE));
  return telling.length ? [firsts, ...telling].flat() : maps;
}
