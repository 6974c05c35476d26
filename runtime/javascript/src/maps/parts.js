// Several maps of one output in an overview: its next principal components, or each channel of a model's result. The rules
// of `runtime/maps/parts.py`; which outputs are drawn at all is up to `thinning.js`.

import { isMeanOfFew } from "./feature_maps.js";
import { aligned, correlation } from "./likeness.js";
import { lastOfSizes } from "./stages.js";
import { FEW, isFilled } from "./thinning.js";

/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/** @typedef {import("./likeness.js").Picture} Picture */
/** @typedef {import("./thinning.js").Room} Room */
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
/** The share of the variance from which on a component after the first is drawn: what holds less is speckle. */
const TELLING = 0.06;
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
 * @param {Picture | null} brightness of the photo, by which components get their sign
 * @param {Room} room on the page
 * @returns {Promise<FeatureMap[]>}
 */
export async function inParts(source, outputs, maps, brightness, room) {
  if (maps.length < FEW && maps.every((map) => map.share !== null))
    return withComponents(source, outputs, maps, brightness, room);
  const last = maps[maps.length - 1];
  if (extraChannels(maps)) return [...maps.slice(0, -1), ...(await source.channels(outputs.get(last.name), last))];
  return maps;
}

/**
 * The maps with the components that are new after each; with one more, where that fills the last row.
 * @param {PartSource} source
 * @param {Map<string, Output>} outputs
 * @param {FeatureMap[]} maps
 * @param {Picture | null} brightness
 * @param {Room} room
 */
async function withComponents(source, outputs, maps, brightness, room) {
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
    brightness,
  );
  /** @type {FeatureMap[]} */
  let before = [];
  /** @type {FeatureMap | undefined} of the last stage that has one */
  let known;
  const shown = new Set();
  for (const parts of more) {
    const isNew = parts.map((map, at) => at >= before.length || !alike(before[at], map));
    parts.forEach((map, at) => isNew[at] && shown.add(map));
    if (isNew.includes(false)) known = parts[isNew.indexOf(false)];
    if (parts.length) before = parts;
  }
  if (known && !isFilled(room, maps.length + shown.size)) shown.add(known);
  return maps.flatMap((map) => [map, ...(more[some.indexOf(map)] ?? []).filter((part) => shown.has(part))]);
}

/**
 * Of each output its components after the first: the eye compares those of one number, as it does the first ones.
 * @param {FeatureMap[][]} found of each output, the first included
 * @param {number} count
 * @param {Picture | null} brightness
 */
function alignedByNumber(found, count, brightness) {
  /** @type {FeatureMap[][]} */
  const more = found.map(() => []);
  for (let number = 1; number < count; number++) {
    const places = found.flatMap((parts, place) => (number < parts.length ? [place] : []));
    const turned = aligned(
      places.map((place) => found[place][number]),
      brightness,
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
