// Several maps of one output in an overview: its next principal components, or each channel of a model's result. The rules
// of `runtime/maps/parts.py`; which outputs are drawn at all is up to `thinning.js`.

import { isMeanOfFew } from "./feature_maps.js";
import { aligned, correlation } from "./likeness.js";
import { lastOfSizes } from "./stages.js";
import { FEW } from "./thinning.js";

/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/** An output of a manifest. @typedef {any} Output */
/**
 * @typedef {object} PartSource what the maps come from
 * @property {(of: [Output, FeatureMap][], count: number) => Promise<FeatureMap[][]>} components so many principal
 *   components of each output, of which its map is the first
 * @property {(output: Output, map: FeatureMap) => Promise<FeatureMap[]>} channels each channel of an output, of which the
 *   map is the mean
 */

/**
 * How many principal components are considered of what each stage returns, by the number of stages; of more, 2.
 * @type {Record<number, number>}
 */
const COMPONENTS = { 1: 4, 2: 3, 3: 3 };
/** The share of the variance from which on a component after the first may be drawn: what holds less is speckle. */
const TELLING = 0.1;
/** The share from which on it is: the largest of those that hold less is drawn only if no other is. */
const MUCH = 0.2;
/**
 * What a component after the first is turned to look like, where none of its number is before it: it has little to do with
 * the photo's brightness, which would decide by chance.
 */
const MIDDLE = {
  values: Float64Array.from({ length: 28 * 28 }, (_, at) =>
    [Math.floor(at / 28), at % 28].every((place) => place >= 7 && place < 21) ? 1 : 0,
  ),
  height: 28,
  width: 28,
};
/** The correlation with the same component of the stage before, from which on a component tells nothing new. */
const KNOWN = 0.7;

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
 * The maps; where there are few, which are principal components, the next ones after each that show something new; and
 * in place of the mean of a model's few results, each of these.
 * @param {PartSource} source
 * @param {Map<string, Output>} outputs by name
 * @param {FeatureMap[]} maps at least one, in the order of execution
 * @returns {Promise<FeatureMap[]>}
 */
export async function inParts(source, outputs, maps) {
  if (maps.length < FEW && maps.every((map) => map.share !== null))
    return withComponents(source, outputs, maps);
  const last = maps[maps.length - 1];
  if (extraChannels(maps)) return [...maps.slice(0, -1), ...(await source.channels(outputs.get(last.name), last))];
  return maps;
}

/**
 * The maps with the components that are new after each.
 * @param {PartSource} source
 * @param {Map<string, Output>} outputs
 * @param {FeatureMap[]} maps
 */
async function withComponents(source, outputs, maps) {
  const ends = lastOfSizes(maps);
  const some = maps.filter((map) => ends.has(map.name));
  const count = COMPONENTS[some.length] ?? 2;
  const all = await source.components(
    some.map((map) => [outputs.get(map.name), map]),
    count,
  );
  const more = alignedByNumber(
    all.map((parts) => parts.filter((map) => map.part === "" || (map.share ?? 0) >= TELLING)),
    count,
  );
  /** @type {FeatureMap[]} */
  let before = [];
  /** @type {FeatureMap[]} */
  const fresh = [];
  for (const parts of more) {
    fresh.push(...parts.filter((map, at) => at >= before.length || !alike(before[at], map)));
    if (parts.length) before = parts;
  }
  const least = Math.min(MUCH, Math.max(0, ...fresh.map((map) => map.share ?? 0)));
  const shown = new Set(fresh.filter((map) => (map.share ?? 0) >= least));
  return maps.flatMap((map) => [map, ...(more[some.indexOf(map)] ?? []).filter((part) => shown.has(part))]);
}

/**
 * Of each output its components after the first: the eye compares those of one number, as it does the first ones.
 * @param {FeatureMap[][]} found of each output, the first included
 * @param {number} count
 */
function alignedByNumber(found, count) {
  /** @type {FeatureMap[][]} */
  const more = found.map(() => []);
  for (let number = 1; number < count; number++) {
    const places = found.flatMap((parts, place) => (number < parts.length ? [place] : []));
    const turned = aligned(
      places.map((place) => found[place][number]),
      MIDDLE,
    );
    turned.forEach((map, index) => more[places[index]].push(map));
  }
  return more;
}

/**
 * @param {FeatureMap} one
 * @param {FeatureMap} other
 */
const alike = (one, other) => Math.abs(correlation(one, other)) >= KNOWN;
