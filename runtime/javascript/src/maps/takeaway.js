// What an overview shows, in one sentence of what is measured: values that aren't finite or fade, maps that hardly
// change, or how far the photo's outlines are seen. There is none where there is nothing of it to say. The words of
// `runtime/maps/takeaway.py`; the other sentences of a page are in `footer.js`.

import { rangeText } from "./colour_scales.js";
import { sameSize, sizeText } from "./feature_maps.js";
import { blurred, correlation, dot, outlinesCorrelation } from "./likeness.js";

/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/** @typedef {import("./likeness.js").Picture} Picture */
/** @typedef {import("./colour_scales.js").ColourScale} ColourScale */
/**
 * @typedef {object} Stage what is measured of all tiles of a stage
 * @property {string} name
 * @property {FeatureMap} map one of its tiles
 * @property {number} lowest correlation of edges
 * @property {number} highest
 * @property {boolean} isInverted
 */

/** The correlation of a map's edges with the photo's, from which on outlines are seen. */
const CLEAR = 0.55;
/** The same, below which they aren't. */
const GONE = 0.3;
/** The correlation with the photo's brightness, up to which a mean is mostly its negative. */
const INVERTED = -0.4;
/** Of the first map's largest colour, below which the last one's has faded. */
const FADED = 1e-3;
/** Of the same, above which values don't fade: a last sigmoid is small where it finds nothing. */
const RISEN = 10;
/** Maps of one size, from which on it is said that they hardly change. */
const STEADY = 8;
/** Their least correlation with the last. */
const VERY_ALIKE = 0.95;
/** @type {Record<string, string>} */
const SUBJECTS = { mean: "the mean", pca: "PC1", pca3: "PC1" };

/**
 * The sentence: the first that there is something to say for; empty if there is none.
 * @param {FeatureMap[]} maps of the overview, at least one, with their stages
 * @param {Map<string, FeatureMap[]>} alike by what is drawn, those that look like it
 * @param {{ colours: Picture[], brightness: Picture } | null} photo as the model sees it
 * @param {(ColourScale | null)[]} scales of each map, whose ends are the numbers below it
 */
export function takeaway(maps, alike, photo, scales) {
  const subject = SUBJECTS[maps[0].reduction] ?? maps[0].reduction;
  const parts = maps.filter(({ part }) => !part);
  const whole = parts.length ? parts : maps;
  const said = notFiniteOf(maps) || fadedOf(maps, scales) || steadyOf(whole, alike) || (photo ? outlinesOf(whole, photo) : "");
  const sentence = said.replace("IT", subject);
  return said ? `${sentence[0].toUpperCase()}${sentence.slice(1)}.` : "";
}

/** @param {FeatureMap[]} maps */
function notFiniteOf(maps) {
  const first = maps.find(({ values }) => !values.every(Number.isFinite));
  return first ? `the first tile with values that aren't finite is ${first.name}` : "";
}

/**
 * @param {FeatureMap[]} maps
 * @param {(ColourScale | null)[]} scales
 */
function fadedOf(maps, scales) {
  const largest = scales.map(largestOf);
  const [[first, was], [last, became]] = [largest[0], largest[largest.length - 1]];
  if (!(last > 0 && last < FADED * first) || largest.some(([each]) => each > RISEN * first)) return "";
  return `the values of IT fade from ${was} in ${maps[0].stage} to ${became} in ${maps[maps.length - 1].stage}`;
}

/**
 * The end that is farther from 0, without its sign, and as it is written.
 * @param {ColourScale | null} scale
 * @returns {[number, string]}
 */
function largestOf(scale) {
  if (!scale) return [0, ""];
  const [low, high] = rangeText(scale, { short: true, marks: false });
  const [end, text] = Math.abs(scale.low) > Math.abs(scale.high) ? [scale.low, low] : [scale.high, high];
  return [Math.abs(end), text.replace(/^−/, "")];
}

/**
 * That maps of one size hardly change, if they are many.
 * @param {FeatureMap[]} maps
 * @param {Map<string, FeatureMap[]>} alike
 */
function steadyOf(maps, alike) {
  const every = [...maps, ...maps.flatMap((map) => alike.get(map.name) ?? [])];
  if (every.length < STEADY || !maps.every((map) => sameSize(map, maps[0]))) return "";
  const last = blurred(maps[maps.length - 1]);
  const least = Math.min(...every.map((map) => Math.abs(dot(blurred(map), last))));
  const what = maps[0].stage.endsWith("blocks") ? "block" : "tile";
  const said = `IT hardly changes from the first ${what} to the last: each correlates with the last by ${atLeast(least)}`;
  return least >= VERY_ALIKE ? said : "";
}

/**
 * How far the photo's outlines are seen: down to a size, up to a stage, or lost and back again.
 * @param {FeatureMap[]} maps
 * @param {{ colours: Picture[], brightness: Picture }} photo
 */
function outlinesOf(maps, photo) {
  const names = [...new Set(maps.map(({ stage }) => stage))];
  const stages = names.flatMap((name) => measuredOf(maps.filter(({ stage }) => stage === name), photo) ?? []);
  const isClear = (/** @type {Stage} */ { lowest }) => lowest >= CLEAR;
  const [seen, later] = splitBy(stages, isClear);
  if (!seen.length) return "";
  const last = seen[seen.length - 1];
  const isInverted = seen.every((each) => each.isInverted);
  const how = (isInverted ? ", mostly as a negative" : "") + edgesOf(Math.min(...seen.map((each) => each.lowest)));
  if (!later.length) {
    const { height, width } = seen.map(({ map }) => map).reduce((one, map) => (areaOf(map) < areaOf(one) ? map : one));
    return `IT shows the photo's outlines down to ${sizeText([height, width])} pixels${how}`;
  }
  const [lost, back] = splitBy(later, (each) => !isClear(each));
  if (!back.length) return `IT shows the photo's outlines up to ${last.name}${how}`;
  const isLost = Math.max(...lost.map((each) => each.highest)) < GONE;
  const said = `the photo's outlines are lost in ${lost[0].name} and first back in ${back[0].name}`;
  return isLost ? said + edgesOf(back[0].lowest) : "";
}

/** @param {number} r */
const edgesOf = (r) => `: its edges correlate with the photo's by ${atLeast(r)}`;

/**
 * What is measured of a stage's tiles; null of tiles in which outlines can't be seen.
 * @param {FeatureMap[]} maps
 * @param {{ colours: Picture[], brightness: Picture }} photo
 * @returns {Stage | null}
 */
function measuredOf(maps, { colours, brightness }) {
  const found = maps.flatMap((map) => outlinesCorrelation(colours, map) ?? []);
  if (!found.length) return null;
  const isInverted = maps.every((map) => map.share === null && correlation(brightness, map) <= INVERTED);
  const [lowest, highest] = [Math.min(...found), Math.max(...found)];
  return { name: maps[0].stage, map: maps[0], lowest, highest, isInverted };
}

/**
 * The stages up to the first that isn't so, and the others.
 * @param {Stage[]} stages
 * @param {(stage: Stage) => boolean} isSo
 * @returns {[Stage[], Stage[]]}
 */
function splitBy(stages, isSo) {
  const end = stages.findIndex((each) => !isSo(each));
  return end < 0 ? [stages, []] : [stages.slice(0, end), stages.slice(end)];
}

/** @param {FeatureMap} map */
const areaOf = ({ height, width }) => height * width;

/** @param {number} r */
const atLeast = (r) => `${(Math.floor(r * 100) / 100).toFixed(2)} or more`;
