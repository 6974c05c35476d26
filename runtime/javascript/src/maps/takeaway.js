// What an overview shows, in one sentence of what is measured: values that fade, maps that hardly change, or how far the
// photo's outlines are seen. The words of `runtime/maps/takeaway.py`; the other sentences of a page are in `footer.js`.

import { valueRange } from "./colour_maps.js";
import { sizeText } from "./feature_maps.js";
import { blurred, correlation, dot, outlinesCorrelation } from "./likeness.js";

/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/** @typedef {import("./likeness.js").Picture} Picture */

/** The correlation of a map's outlines with the photo's, from which on they are seen. */
const CLEAR = 0.7;
/** The same, below which they aren't. */
const GONE = 0.4;
/** The correlation with the photo's brightness, up to which a mean is its negative. */
const INVERTED = -0.6;
/** Of the first map's largest value, below which the last one's has faded. */
const FADED = 1e-3;
/** Maps that look like tiles drawn, from which on it is said that they hardly change. */
const STEADY = 8;
/** Their least correlation. */
const VERY_ALIKE = 0.95;

/**
 * The sentence: the first that there is something to say for; empty if there is none.
 * @param {FeatureMap[]} maps of the overview, at least one, with their stages
 * @param {Map<string, FeatureMap[]>} alike by what is drawn, those that look like it
 * @param {Picture[] | null} colours of the photo as the model sees it
 * @param {Picture | null} brightness of the same
 */
export function takeaway(maps, alike, colours, brightness) {
  const parts = maps.filter(({ part }) => !part);
  const whole = parts.length ? parts : maps;
  const outlines = () => (colours && brightness ? outlinesOf(whole, colours, brightness) : "");
  const said = fadedOf(whole) || steadyOf(whole, alike) || outlines() || sizesOf(whole);
  return said ? `${said[0].toUpperCase()}${said.slice(1)}.` : "";
}

/** @param {FeatureMap[]} maps */
function fadedOf(maps) {
  const [first, last] = [maps[0], maps[maps.length - 1]].map((map) =>
    Math.max(...(valueRange(map.values) ?? [0]).map(Math.abs)),
  );
  if (!(last > 0 && last < FADED * first)) return "";
  const names = called(maps);
  return `values fade from ${short(first)} in ${names[0]} to ${short(last)} in ${names[names.length - 1]}`;
}

/**
 * `4e−7` or `3.7`.
 * @param {number} value
 */
function short(value) {
  const [number, exponent] = value.toExponential(1).split("e");
  return Math.abs(Number(exponent)) < 3 ? `${Number(value.toPrecision(2))}` : `${number}e${Number(exponent)}`.replace("-", "−");
}

/**
 * That maps of one size hardly change, if many look like those that are drawn, and very much so.
 * @param {FeatureMap[]} maps
 * @param {Map<string, FeatureMap[]>} alike
 */
function steadyOf(maps, alike) {
  const pairs = maps.flatMap((map) => (alike.get(map.name) ?? []).map((other) => [map, other]));
  if (pairs.length < STEADY || new Set(maps.map(sizeOf)).size > 1) return "";
  const least = Math.min(...pairs.map(([one, other]) => Math.abs(dot(blurred(one), blurred(other)))));
  const what = maps[0].share === null ? "the mean" : "PC1";
  const outputs = pairs.length + maps.length;
  return least >= VERY_ALIKE ? `${what} hardly changes over ${outputs} outputs (r ≥ ${floored(least)})` : "";
}

/**
 * How far the photo's outlines are seen: in all maps, up to one of them, or lost and back again.
 * @param {FeatureMap[]} maps
 * @param {Picture[]} colours
 * @param {Picture} brightness
 */
function outlinesOf(maps, colours, brightness) {
  const names = called(maps);
  const found = maps.flatMap((map, index) => {
    const r = outlinesCorrelation(colours, map);
    return r === null ? [] : [{ name: names[index], r }];
  });
  const clear = found.filter(({ r }) => r >= CLEAR);
  if (!clear.length) return "";
  if (clear.length === maps.length)
    return `all tiles keep the photo's outlines (r ≥ ${floored(Math.min(...clear.map(({ r }) => r)))})`;
  const isInverted = maps[0].share === null && correlation(brightness, maps[0]) <= INVERTED;
  const lead = isInverted ? `in ${found[0].name} the photo is inverted; its outlines are` : "the photo's outlines are";
  const [first, last] = [clear[0], clear[clear.length - 1]];
  const between = found.slice(found.indexOf(first), found.indexOf(last) + 1);
  const lowest = between.reduce((least, each) => (each.r < least.r ? each : least));
  if (lowest.r < GONE) return `${lead} lost by ${withR(lowest)} and back in ${withR(last)}`;
  const end = found[found.length - 1];
  const seen = last === found[0] ? `in ${withR(last)}` : `up to ${withR(last)}`;
  return `${lead} clear ${seen}${end.r < GONE ? `, gone in ${withR(end)}` : ""}`;
}

/**
 * What to call each map: its stage, unless others are of it, too.
 * @param {FeatureMap[]} maps
 */
const called = (maps) =>
  maps.map(({ name, stage }) => (maps.filter((each) => each.stage === stage).length === 1 ? stage : name));

/** @param {{ name: string, r: number }} likeness */
const withR = ({ name, r }) => `${name} (r ${r.toFixed(2).replace("-0.00", "0.00").replace("-", "−")})`;

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

/** @param {number} r */
const floored = (r) => (Math.floor(r * 100) / 100).toFixed(2);

/** @param {FeatureMap} map */
const sizeOf = ({ height, width }) => sizeText([height, width]);
