// What an overview shows, in one sentence of what is measured: values that aren't finite or fade, components that follow the
// photo's colours, maps that hardly change, how far the photo's outlines are seen. There is none where there is nothing to
// say. The words of `runtime/maps/takeaway.py`; the other sentences of a page are in `footer.js`.

import { general, withPower } from "../number_words.js";
import { FIRST_COMPONENT, isFurtherComponent, sizeText } from "./feature_maps.js";
import { usualReduction } from "./footer.js";
import { LEAST_OUTLINED, correlation, middleCorrelation, outlinesCorrelation, steadiness } from "./likeness.js";

/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/** @typedef {import("./likeness.js").Picture} Picture */
/** @typedef {import("./colour_scales.js").ColourScale} ColourScale */
/** What one of the axes of colours shows of the photo. @typedef {{ axis: string, colour: Picture }} Axis */
/**
 * @typedef {object} Stage what is measured of all tiles of a stage
 * @property {string} name
 * @property {FeatureMap} map one of its tiles
 * @property {number} lowest correlation of edges
 * @property {number} highest
 */

/** The correlation of a map's edges with the photo's, from which on outlines are seen. */
const CLEAR = 0.55;
/** The same, below which they aren't. */
const GONE = 0.3;
/** What weights of red, green and blue show. @type {Record<string, number[]>} */
const COLOUR_AXES = { brightness: [1, 1, 1], "red against blue": [1, 0, -1], "green against magenta": [-1, 2, -1] };
/** The correlation from which on a component follows such a colour. */
const SAME = 0.9;
/** The correlation with what is bright in the middle, from which on that is set apart. */
const APART = 0.6;
/** Of the first map's range, below which the last one's has faded. */
const FADED = 1e-3;
/** Of the same, above which ranges don't shrink: a last sigmoid is small where it finds nothing. */
const RISEN = 10;
/** @type {Record<string, string>} */
const SUBJECTS = { mean: "the mean", pca: "PC1", pca3: "PC1" };

/**
 * The sentence: the first that there is something to say for; empty if there is none.
 * @param {FeatureMap[]} maps of the overview, at least one, with their stages
 * @param {Map<string, FeatureMap[]>} alike by what is drawn, those that look like it
 * @param {Picture[] | null} photo as the model sees it: red, green and blue
 * @param {(ColourScale | null)[]} scales of each map, whose ends are the numbers below it
 */
export function takeaway(maps, alike, photo, scales) {
  const usual = usualReduction(maps);
  const subject = SUBJECTS[usual] ?? usual;
  const firsts = maps.filter((map) => !isFurtherComponent(map));
  const ofFirsts = scales.filter((_, index) => !isFurtherComponent(maps[index]));
  const unparted = firsts.filter(({ part, share }) => !part || share !== null);
  const whole = unparted.length ? unparted : firsts;
  let sentence = notFiniteOf(maps) || fadedOf(firsts, ofFirsts, subject);
  if (!sentence) {
    const steady = steadyOf(whole, alike, subject);
    sentence = photo ? ofPhoto(maps, whole, photo, steady, subject) : steady;
  }
  return sentence ? `${sentence[0].toUpperCase()}${sentence.slice(1)}.` : "";
}

/**
 * What is seen of the photo, with what is said besides: that maps are steady.
 * @param {FeatureMap[]} maps
 * @param {FeatureMap[]} whole
 * @param {Picture[]} photo
 * @param {string} steady
 * @param {string} subject
 */
function ofPhoto(maps, whole, photo, steady, subject) {
  const axes = Object.entries(COLOUR_AXES).map(([axis, weights]) => ({ axis, colour: weighed(photo, weights) }));
  const seen = coloursOf(maps, axes);
  const outlines = seen || steady ? "" : outlinesOf(whole, photo, subject);
  return [seen, steady, outlines, middleOf(whole, axes)].filter(Boolean).join("; ");
}

/** @param {FeatureMap[]} maps */
function notFiniteOf(maps) {
  const first = maps.find(({ values }) => !values.every(Number.isFinite));
  return first ? `the first tile with values that aren't finite is ${first.name}` : "";
}

/**
 * @param {FeatureMap[]} maps
 * @param {(ColourScale | null)[]} scales
 * @param {string} subject
 */
function fadedOf(maps, scales, subject) {
  const [first, last] = [scales[0], scales[scales.length - 1]];
  const width = (/** @type {ColourScale | null} */ scale) => (scale ? scale.high - scale.low : 0);
  if (!first || !last || !(width(last) > 0 && width(last) < FADED * width(first))) return "";
  if (Math.max(...scales.map(width)) > RISEN * width(first)) return "";
  const [was, became] = [first, last].map((scale) =>
    scale.low === -scale.high ? `±${withPower(general(scale.high, 3))}` : withPower(general(width(scale), 3)),
  );
  const ends = [maps[0], maps[maps.length - 1]];
  const [from, to] = ends.map(({ name, stage }) => (ends[0].stage === ends[1].stage ? name : stage));
  return `the range of ${subject} shrinks from ${was} in ${from} to ${became} in ${to}`;
}

/**
 * That maps of one size hardly change, if they are many.
 * @param {FeatureMap[]} maps
 * @param {Map<string, FeatureMap[]>} alike
 * @param {string} subject
 */
function steadyOf(maps, alike, subject) {
  const least = steadiness([...maps.flatMap((map) => alike.get(map.name) ?? []), ...maps]);
  if (least === null) return "";
  const what = maps[0].stage.endsWith("blocks") ? "block" : "tile";
  return `${subject} hardly changes from ${what} to ${what} (${atLeast(least)})`;
}

/**
 * How far the photo's outlines are seen: down to a size, up to a stage, or lost and back again.
 * @param {FeatureMap[]} maps
 * @param {Picture[]} photo
 * @param {string} subject
 */
function outlinesOf(maps, photo, subject) {
  const names = [...new Set(maps.map(({ stage }) => stage))];
  const stages = names.flatMap((name) => measuredOf(maps.filter(({ stage }) => stage === name), photo) ?? []);
  const isClear = (/** @type {Stage} */ { lowest }) => lowest >= CLEAR;
  const [seen, later] = splitBy(stages, isClear);
  if (!seen.length) return "";
  const last = seen[seen.length - 1];
  const how = edgesOf(Math.min(...seen.map((each) => each.lowest)));
  if (!later.length) {
    const { height, width } = seen.map(({ map }) => map).reduce((one, map) => (areaOf(map) < areaOf(one) ? map : one));
    return `${subject} shows the photo's outlines down to ${sizeText([height, width])} pixels${how}`;
  }
  const [lost, back] = splitBy(later, (each) => !isClear(each));
  if (!back.length) return `${subject} shows the photo's outlines up to ${last.name}${how}`;
  const isLost = Math.max(...lost.map((each) => each.highest)) < GONE;
  const said = `the photo's outlines are lost in ${lost[0].name} and first back in ${back[0].name}`;
  return isLost ? said + edgesOf(back[0].lowest) : "";
}

/** @param {number} r */
const edgesOf = (r) => ` (edges correlate: ${atLeast(r)})`;

/**
 * What is measured of a stage's tiles; null of tiles in which outlines can't be seen.
 * @param {FeatureMap[]} maps
 * @param {Picture[]} photo
 * @returns {Stage | null}
 */
function measuredOf(maps, photo) {
  const found = maps.flatMap((map) => outlinesCorrelation(photo, map) ?? []);
  if (!found.length) return null;
  return { name: maps[0].stage, map: maps[0], lowest: Math.min(...found), highest: Math.max(...found) };
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

/**
 * Which components are hardly more than the photo's brightness, or one colour of it against another.
 * @param {FeatureMap[]} maps
 * @param {Axis[]} axes
 */
function coloursOf(maps, axes) {
  /** @type {string[]} */
  const said = [];
  for (const part of new Set(maps.filter(({ share }) => share !== null).map((map) => map.part))) {
    const some = maps.filter((map) => map.part === part);
    const found = axes.map(({ axis, colour }) => ({
      axis,
      least: Math.min(...some.map((map) => Math.abs(correlation(colour, map)))),
    }));
    const { axis, least } = found.reduce((one, each) => (each.least > one.least ? each : one));
    if (least < SAME) continue;
    said.push(`${part || FIRST_COMPONENT} ${said.length ? "its" : "follows the photo's"} ${axis} (${atLeast(least)})`);
  }
  return said.join(", ");
}

/**
 * @param {Picture[]} photo
 * @param {number[]} weights of red, green and blue
 * @returns {Picture}
 */
function weighed(photo, weights) {
  const sum = (/** @type {number} */ at) => photo.reduce((all, { values }, colour) => all + weights[colour] * values[at], 0);
  return { ...photo[0], values: Float64Array.from(photo[0].values, (_, at) => sum(at)) };
}

/**
 * Which map of one component sets the middle of the image apart, where most photos have what they are of, among those that
 * are too small for outlines, if it isn't rather a colour of the photo.
 * @param {FeatureMap[]} maps
 * @param {Axis[]} axes
 */
function middleOf(maps, axes) {
  const small = maps.filter(({ share, height, width }) => share !== null && Math.min(height, width) < LEAST_OUTLINED);
  const found = small.map((map) => ({ map, r: Math.abs(middleCorrelation(map)) }));
  if (!found.length) return "";
  const { map, r } = found.reduce((one, each) => (each.r > one.r ? each : one));
  if (r < APART) return "";
  const rather = axes.map(({ colour }) => Math.abs(correlation(colour, map)));
  return Math.max(...rather) < r ? `in ${map.name}, the image's middle is set apart (${atLeast(r)})` : "";
}

/** @param {FeatureMap} map */
const areaOf = ({ height, width }) => height * width;

/** @param {number} r */
const atLeast = (r) => `|r| ≥ ${(Math.floor(r * 100) / 100).toFixed(2)}`;
