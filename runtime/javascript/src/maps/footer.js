// The sentences below a grid: what a tile is, how it is coloured, and what is left out, as `runtime/maps/footer.py`.

import { general, percent } from "../number_words.js";
import { hasMap } from "./channels.js";
import { FLAT, SEQUENTIAL } from "./colour_scales.js";
import { BRANCH, LEAST_SHARE, LEFT_OUT, isLow, isWeak } from "./feature_maps.js";
import { FAINT, hasFrame } from "./likeness.js";
import { REDUCTIONS } from "./reductions.js";

/** @typedef {import("./colour_scales.js").ColourScale} ColourScale */
/** @typedef {import("./colour_scales.js").GridStyle} GridStyle */
/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/** @typedef {import("./feature_maps.js").LeftOut} LeftOut */
/** @typedef {import("./feature_maps.js").ByReason} ByReason */

const OF_BRANCHES = "Branch: what a block adds to its input; their sum is what the block returns.";
/** Why outputs are not drawn, as an overview says it: each reason is in one row. @type {Record<string, LeftOut[]>} */
export const IN_SHORT = {
  "in blocks": ["inside"],
  "before an activation": ["preactivation"],
  "like a tile here": ["repeat", "similar", "pooling", "noise"],
  checkerboards: ["checkerboard"],
  "nearly constant": ["weak", "rounding", "constant"],
  "without a map": ["point", "flat"],
};
const NAMES_SHOWN = 6;
/** Names of what is left out for one reason; of more, one is an example. */
const ALL_SHOWN = 2;

/**
 * What a tile shows.
 * @param {FeatureMap[]} maps of all tiles
 * @returns {string[]}
 */
export function explained(maps) {
  return [`Each tile is one output, in the order of execution: ${REDUCTIONS[usualReduction(maps)].words}.`];
}

/**
 * What the tiles of an overview show, and which outputs they are of.
 * @param {FeatureMap[]} maps of all tiles
 * @param {number} outputs how many there are
 * @param {number} depth of the blocks that it is of; 0 if it is of none
 * @returns {string[]}
 */
export function overviewExplained(maps, outputs, depth) {
  const usual = usualReduction(maps);
  const which = depth ? "what each block returns" : "those that look different";
  const counted = `${new Set(maps.map((map) => map.name)).size} of ${outputs} outputs, ${which}`;
  const last = maps[maps.length - 1];
  const parts = last.part ? `, and of ${last.name} each channel` : "";
  if (!REDUCTIONS[usual].components) return [`Each tile is ${REDUCTIONS[usual].words}${parts}: ${counted}.`];
  const isHued = maps.some(({ hues }) => hues);
  const hued = isHued ? ", as brightness; hue: the second and third" : "";
  return [
    `PC1: first principal component of the channels${hued}, with ${isHued ? "their" : "its"} share of variance.`,
    `${counted[0].toUpperCase()}${counted.slice(1)}.`,
  ];
}

/**
 * What the signs of an overview's principal components are, where there are several.
 * @param {FeatureMap[]} maps
 * @returns {string[]}
 */
export function signNotes(maps) {
  if (!REDUCTIONS[usualReduction(maps)].components || maps.length < 2) return [];
  return ["The sign of PC1 is free: each tile's is chosen to look like the tile before."];
}

/**
 * What the hues of principal components say, if there are some.
 * @param {FeatureMap[]} maps
 * @returns {string[]}
 */
export function hueNotes(maps) {
  if (!maps.some(({ hues }) => hues)) return [];
  return ["Hues mean nothing by themselves: alike ones are alike features; each tile's are turned to the tile before."];
}

/**
 * Where the frame is from that maps have, if some do.
 * @param {FeatureMap[]} maps
 * @returns {string[]}
 */
export const frameNotes = (maps) => (maps.some(hasFrame) ? ["The frames around maps come from padding."] : []);

/**
 * What the tiles' badges say.
 * @param {FeatureMap[]} maps
 * @returns {string[]}
 */
export function badgeNotes(maps) {
  const usual = usualReduction(maps);
  const others = [...new Set(maps.map((map) => map.reduction))].filter((name) => name !== usual);
  const notes = others.map((name) => {
    const count = maps.filter((map) => map.reduction === name).length;
    return `${name === "pca" ? "PC1" : name}: ${REDUCTIONS[name].words}, of ${count} whose ${usual} shows nothing.`;
  });
  return maps.some(({ badges }) => badges.includes(BRANCH)) ? [...notes, OF_BRANCHES] : notes;
}

/**
 * Why tiles are weak.
 * @param {FeatureMap[]} maps of these tiles
 * @param {boolean} flat whether the colours of one span little of its values
 * @returns {string[]}
 */
export function weakNotes(maps, flat) {
  const why = [
    flat ? `range under ${percent(FLAT)} of its values` : "",
    maps.some(isWeak) ? `range under ${general(100 * FAINT, 3)} % of the strongest tile's` : "",
    maps.some(isLow) ? `PC1 under ${percent(LEAST_SHARE)}` : "",
  ].filter(Boolean);
  return why.length ? [`Weak: ${why.join(", or ")}.`] : [];
}

/**
 * The reduction that a tile has which isn't marked with another.
 * @param {FeatureMap[]} maps
 */
export function usualReduction(maps) {
  return Object.keys(REDUCTIONS).find((name) => maps.some((map) => map.reduction === name)) ?? "mean";
}

/**
 * How the tiles are coloured.
 * @param {(ColourScale | null)[]} scales
 * @param {GridStyle} style
 * @returns {string[]}
 */
export function scaleNotes(scales, style) {
  const known = scales.flatMap((each) => each ?? []);
  const colours = [...new Set(known.map((each) => each.cmap))].join(", ") || SEQUENTIAL;
  const own = "Each tile is coloured from its own lowest to its own highest value";
  const whole = style.shared ? "All tiles share one scale" : own;
  const apart = !style.shared && known.length > 1 ? " Different tiles don't compare." : "";
  // Also where a map is as high as it is low by itself.
  const bothSigns = known.some((each) => each.low === -each.high && each.low !== 0);
  const symmetric = style.symmetric && bothSigns ? "; what has both signs, symmetrically around 0" : "";
  return [`${whole} (${colours})${symmetric}.${apart}`];
}

/**
 * How the tiles of an overview are coloured.
 * @param {(ColourScale | null)[]} scales
 * @returns {string[]}
 */
export function innerScaleNotes(scales) {
  const known = scales.flatMap((each) => each ?? []);
  const colours = [...new Set(known.map((each) => each.cmap))].join(", ") || SEQUENTIAL;
  const clipped = known.some(isClipped) ? "; its border and outermost 1 % are clipped" : "";
  return [`Colours: ${colours}, ${known.length > 1 ? "each tile on its own scale" : "on the tile's scale"}${clipped}.`];
}

/**
 * What an end with two numbers says, if there is one.
 * @param {(ColourScale | null)[]} scales of all tiles
 * @param {GridStyle} style
 * @returns {string[]}
 */
export function clipNotes(scales, style) {
  if (!scales.some((each) => each && isClipped(each))) return [];
  const clip = style.clip ?? null;
  const why = clip === null ? ", since so few would take many of the colours" : "";
  return [
    `≤, ≥ and …: up to ${general(clip ?? 1, 6)} % of the pixels lie farther out and share the end's colour${why}.`,
  ];
}

/** @param {ColourScale} scale */
const isClipped = ({ lowest, low, high, highest }) => lowest < low || highest > high;

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
 * How many are not drawn, and why in short; each is counted once.
 * @param {ByReason} leftOut
 * @returns {string[]}
 */
export function leftOutCounts(leftOut) {
  const counts = Object.entries(IN_SHORT).flatMap(([words, kinds]) => {
    const count = kinds.reduce((sum, kind) => sum + (leftOut[kind] ?? []).length, 0);
    return count ? [`${count} ${words}`] : [];
  });
  return counts.length ? [`Not drawn: ${counts.join(", ")}.`] : [];
}

/**
 * What is not drawn, and why: how many, and a few of them.
 * @param {ByReason} leftOut
 * @returns {string[]}
 */
export function leftOutNotes(leftOut) {
  const found = Object.entries(LEFT_OUT).flatMap(([kind, [one, several]]) => {
    const names = leftOut[/** @type {LeftOut} */ (kind)] ?? [];
    if (!names.length) return [];
    const few = names.slice(0, names.length > ALL_SHOWN ? 1 : ALL_SHOWN);
    const more = few.length < names.length ? ", …" : "";
    return [`${names.length} ${names.length === 1 ? one : several} (${few.join(", ")}${more})`];
  });
  return found.length ? [`Left out: ${found.join("; ")}.`] : [];
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
