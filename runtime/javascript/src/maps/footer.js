// The sentences below a grid: what a tile is, how it is coloured, and what is left out, as `runtime/maps/footer.py`.

import { hasMap } from "./channels.js";
import { SEQUENTIAL, rangeText } from "./colour_scales.js";
import { LEFT_OUT } from "./feature_maps.js";
import { general } from "../number_words.js";
import { REDUCTIONS } from "./reductions.js";

/** @typedef {import("./colour_scales.js").ColourScale} ColourScale */
/** @typedef {import("./colour_scales.js").GridStyle} GridStyle */
/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */

const NAMES_SHOWN = 6;
const REPEATS_SHOWN = 2;

/**
 * What a tile shows, and what one that is marked shows.
 * @param {FeatureMap[]} maps
 * @returns {string[]}
 */
export function explained(maps) {
  const usual = usualReduction(maps);
  const others = [...new Set(maps.map((map) => map.reduction))].filter((name) => name !== usual);
  const weak = maps.filter((map) => map.weak).length;
  return [
    `Each tile is one output, in the order of execution: ${REDUCTIONS[usual].words}.`,
    ...others.map((name) => {
      const count = maps.filter((map) => map.reduction === name).length;
      return `${count} marked ${name}, as their ${usual} shows nothing: ${REDUCTIONS[name].words}.`;
    }),
    ...(weak ? [`${weak} marked weak, and fainter, vary by less than a ten-thousandth of the strongest.`] : []),
  ];
}

/**
 * The reduction that a tile has which isn't marked with another.
 * @param {FeatureMap[]} maps
 */
export function usualReduction(maps) {
  return Object.keys(REDUCTIONS).find((name) => maps.some((map) => map.reduction === name)) ?? "mean";
}

/**
 * A tile's detail with its marks: another reduction than usual, weak.
 * @param {FeatureMap} map
 * @param {string} usual
 */
export function markedDetail(map, usual) {
  return [map.detail, map.reduction === usual ? "" : map.reduction, map.weak ? "weak" : ""].filter(Boolean).join(" · ");
}

/**
 * How the tiles are coloured, and what an end with two numbers says.
 * @param {(ColourScale | null)[]} scales
 * @param {GridStyle} style
 * @param {boolean} isOverview whether the scales are `overviewScales`
 * @returns {string[]}
 */
export function scaleNotes(scales, style, isOverview = false) {
  /** @type {ColourScale[]} */
  const known = [];
  for (const each of scales) if (each) known.push(each);
  const colours = [...new Set(known.map((each) => each.cmap))].join(", ") || SEQUENTIAL;
  const own = "Each tile is coloured from its own lowest to its own highest value";
  const whole = style.shared ? "All tiles share one scale" : own;
  const apart = !style.shared && known.length > 1 ? " Colours of different tiles don't compare." : "";
  const bothSigns = known.some((each) => each.low === -each.high && each.low !== 0);
  const symmetric = style.symmetric && bothSigns ? "; what has both signs, symmetrically around 0" : "";
  return [`${whole} (${colours})${symmetric}.${apart}`, ...clipNotes(known, style, isOverview)];
}

/**
 * @param {ColourScale[]} scales
 * @param {GridStyle} style
 * @param {boolean} isOverview whether a map's edge may be beyond its ends
 */
function clipNotes(scales, style, isOverview) {
  const clipped = scales.find((each) => each.lowest < each.low || each.highest > each.high);
  if (!clipped) return [];
  const reads = rangeText(clipped)[clipped.highest > clipped.high ? 1 : 0];
  const byDefault = style.clip === null || style.clip === undefined;
  if (isOverview && byDefault && !style.shared && !style.symmetric) {
    return [`${reads}: the padded edge, or up to 1 % of the pixels, lies so far out and shares the end's colour.`];
  }
  const percent = byDefault ? "1" : general(/** @type {number} */ (style.clip), 6);
  const why = byDefault ? ", since so few would take most of the colours" : "";
  return [`${reads}: up to ${percent} % of the pixels lie so far out and share the end's colour${why}.`];
}

/**
 * What is shown of the photo.
 * @param {boolean} overlay
 * @returns {string[]}
 */
export function photoNotes(overlay) {
  if (overlay) return ["Each map is interpolated, over the photo in grey, which weakens its colours."];
  return ["The photo is shown as the model saw it, resized and cropped, before normalisation."];
}

/**
 * What is not drawn, and why.
 * @param {Partial<Record<import("./feature_maps.js").LeftOut, string[]>>} leftOut
 * @returns {string[]}
 */
export function leftOutNotes(leftOut) {
  const found = [];
  for (const [kind, [one, several]] of Object.entries(LEFT_OUT)) {
    const names = leftOut[/** @type {import("./feature_maps.js").LeftOut} */ (kind)];
    if (!names) continue;
    const few = listed(names, kind === "repeat" ? REPEATS_SHOWN : NAMES_SHOWN);
    found.push(`${names.length} ${names.length === 1 ? one : several}: ${few}.`);
  }
  return found;
}

/**
 * How token sequences are laid out.
 * @param {any[]} outputs of a manifest
 * @returns {string[]}
 */
export function tokenNotes(outputs) {
  /** @type {Map<number, number>} */
  const counts = new Map();
  for (const output of outputs) {
    if (output.layout !== "NLC" || !hasMap(output)) continue;
    const extra = output.tokens.before + output.tokens.after;
    counts.set(extra, (counts.get(extra) ?? 0) + 1);
  }
  if (!counts.size) return [];
  const counted = [...counts]
    .sort(([one], [other]) => one - other)
    .filter(([extra]) => extra)
    .map(([extra, count]) => (count > 1 ? `${extra} in each of ${count} outputs` : `${extra} in 1 output`));
  const leftOut = counted.length ? `; tokens that are not patches are left out: ${counted.join(", ")}` : "";
  return [`Token sequences are laid out as their grid of patches${leftOut}.`];
}

/**
 * The names in a row, the last ones counted where there are many.
 * @param {string[]} names
 * @param {number} [shown]
 */
export function listed(names, shown = NAMES_SHOWN) {
  if (names.length <= shown + 1) return names.join(", ");
  return `${names.slice(0, shown).join(", ")} and ${names.length - shown} more`;
}
