// What an overview shows, in one sentence of what is measured: the maps' sizes, how much they are like the photo. The words
// of `runtime/maps/takeaway.py`; the other sentences of a page are in `footer.js`.

import { sizeText } from "./feature_maps.js";
import { blurred, correlation, dot } from "./likeness.js";

/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/** @typedef {import("./likeness.js").Picture} Picture */

/**
 * The absolute correlation from which on a map does so: of one, of two, and of the second after the first.
 * @type {[number, string, string, string][]}
 */
const FOLLOWS = [
  [0.6, "follows", "follow", "does"],
  [0.4, "partly follows", "partly follow", "does in part"],
  [0, "hardly follows", "hardly follow", "hardly does"],
];
/** Of a map that is compared with the photo: with fewer, likeness is mostly chance. */
const FEWEST_PIXELS = 49;
/** The difference of correlations up to which one is as large as the other. */
const SAME = 0.05;
/** Maps that look like tiles drawn, from which on it is said that they hardly change. */
const STEADY = 8;
/** Their least correlation. */
const VERY_ALIKE = 0.95;

/**
 * The sentence; empty if there is nothing to say.
 * @param {FeatureMap[]} maps of the overview, at least one, with their stages; of each output the first
 * @param {Map<string, FeatureMap[]>} alike by what is drawn, those that look like it
 * @param {Picture | null} brightness of the photo as the model sees it
 */
export function takeaway(maps, alike, brightness) {
  const followed = brightness ? followedOf(maps, brightness) : "";
  const unchanged = steadyOf(maps, alike);
  // Else they have one subject.
  const steady = unchanged && (hasStages(maps) || !followed) ? `${whatOf(maps)} ${unchanged}` : unchanged;
  const seen = [followed, steady].filter(Boolean).join(" and ");
  const said = [sizesOf(maps), seen].filter(Boolean).join("; ");
  return said ? `${said[0].toUpperCase()}${said.slice(1)}.` : "";
}

/** @param {FeatureMap[]} maps */
function sizesOf(maps) {
  const stages = maps.filter(
    (map, index) => maps.findIndex((each) => each.stage === map.stage && sizeOf(each) === sizeOf(map)) === index,
  );
  if (stages.length < 2) return "";
  const smallest = stages.reduce((least, map) => (map.height * map.width < least.height * least.width ? map : least));
  const [first, least, last] = [stages[0], smallest, stages[stages.length - 1]].map(sizeOf);
  return least === last
    ? `from ${first} to ${last} pixels in ${stages.length} stages`
    : `from ${first} down to ${least} and up to ${last} pixels`;
}

/**
 * How much the maps are like the photo's brightness or its edges, whichever some map is more like.
 * @param {FeatureMap[]} maps
 * @param {Picture} brightness
 */
function followedOf(maps, brightness) {
  const large = maps.filter((map) => map.height * map.width >= FEWEST_PIXELS);
  if (Math.min(brightness.height, brightness.width) < 2 || !large.length) return "";
  const [bright, edged] = [brightness, edgesOf(brightness)].map((of) =>
    large.map((map) => Math.abs(correlation(of, map))),
  );
  const [what, likeness] = Math.max(...edged) > Math.max(...bright) ? ["edges", edged] : ["brightness", bright];
  const [highest, lowest] = [Math.max(...likeness), Math.min(...likeness)];
  const [strongly, partly] = FOLLOWS;
  if (highest < partly[0]) {
    const neither = hasStages(maps) ? "hardly a stage follows" : `${whatOf(maps)} hardly follows`;
    return `${neither} the photo's brightness or edges (|r| up to ${highest.toFixed(2)})`;
  }
  if (hasStages(maps) && large.length === maps.length && lowest >= strongly[0])
    return `all stages follow the photo's ${what} (|r| ≥ ${floored(lowest)})`;
  const best = likeness.findIndex((r) => r > highest - SAME);
  const names = large.map((map) => (hasStages(maps) ? map.stage : whatOf(maps)));
  return ofTwo(names, what, likeness, best);
}

/**
 * How much two maps are like the photo: the best one and the last, or if that is the best, the first.
 * @param {string[]} names
 * @param {string} what
 * @param {number[]} likeness
 * @param {number} best
 */
function ofTwo(names, what, likeness, best) {
  const other = names[best] === names[names.length - 1] ? 0 : names.length - 1;
  const at = names[other] === names[best] ? [best] : [best, other].sort((one, two) => one - two);
  const [first, second] = at.map((index) => ({
    name: names[index],
    text: likeness[index].toFixed(2),
    words: FOLLOWS.find(([least]) => likeness[index] >= least) ?? FOLLOWS[FOLLOWS.length - 1],
  }));
  if (!second) return `${first.name} ${first.words[1]} the photo's ${what} (|r| ${first.text})`;
  if (second.words === first.words)
    return `${first.name} and ${second.name} ${first.words[2]} the photo's ${what} (|r| ${first.text} and ${second.text})`;
  const one = `${first.name} ${first.words[1]} the photo's ${what} (|r| ${first.text})`;
  return `${one}, ${second.name} ${second.words[3]} (${second.text})`;
}

/**
 * How steep a picture is at each pixel, by central differences, at its edge by one-sided ones.
 * @param {Picture} picture at least 2 x 2
 * @returns {Picture}
 */
function edgesOf({ values, height, width }) {
  const slope = (/** @type {number} */ at, /** @type {number} */ place, /** @type {number} */ side, /** @type {number} */ step) => {
    const [before, after] = [place > 0 ? 1 : 0, place < side - 1 ? 1 : 0];
    return (values[at + after * step] - values[at - before * step]) / (before + after);
  };
  const found = Float64Array.from({ length: height * width }, (_, at) => {
    const [y, x] = [Math.floor(at / width), at % width];
    return Math.hypot(slope(at, y, height, width), slope(at, x, width, 1));
  });
  return { values: found, height, width };
}

/**
 * That the maps hardly change, if many look like those that are drawn, and very much so.
 * @param {FeatureMap[]} maps
 * @param {Map<string, FeatureMap[]>} alike
 */
function steadyOf(maps, alike) {
  const pairs = maps.flatMap((map) => (alike.get(map.name) ?? []).map((other) => [map, other]));
  if (pairs.length < STEADY) return "";
  const least = Math.min(...pairs.map(([one, other]) => Math.abs(dot(blurred(one), blurred(other)))));
  if (least < VERY_ALIKE) return "";
  const where = hasStages(maps)
    ? "hardly changes within a stage"
    : `is nearly the same in ${pairs.length} more outputs`;
  return `${where} (|r| ≥ ${floored(least)})`;
}

/** @param {number} r */
const floored = (r) => (Math.floor(r * 100) / 100).toFixed(2);

/** @param {FeatureMap[]} maps */
const hasStages = (maps) => new Set(maps.map(sizeOf)).size > 1;

/** @param {FeatureMap} map */
const sizeOf = ({ height, width }) => sizeText([height, width]);

/** @param {FeatureMap[]} maps */
const whatOf = ([first]) => (first.share === null ? "the mean" : "PC1");
