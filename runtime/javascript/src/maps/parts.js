// Each channel of a model's result, in an overview, in place of their mean. The rules of `runtime/maps/parts.py`; which
// outputs are drawn at all is up to `thinning.js`.

import { isMeanOfFew } from "./feature_maps.js";

/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/** An output of a manifest. @typedef {any} Output */
/**
 * @typedef {object} PartSource what the maps come from
 * @property {(output: Output, map: FeatureMap) => Promise<FeatureMap[]>} channels each channel of an output, of which the
 *   map is the mean
 */

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
 * The maps, in place of the mean of a model's few results each of these.
 * @param {PartSource} source
 * @param {Map<string, Output>} outputs by name
 * @param {FeatureMap[]} maps at least one, in the order of execution
 * @returns {Promise<FeatureMap[]>}
 */
export async function inParts(source, outputs, maps) {
  const last = maps[maps.length - 1];
  return extraChannels(maps) ? [...maps.slice(0, -1), ...(await source.channels(outputs.get(last.name), last))] : maps;
}
