// The sentences below a grid: what a tile is, how it is coloured, and what is left out, as `runtime/maps/footer.py`.

import { general, withPower } from "../number_words.js";
import { hasMap } from "./channels.js";
import { DIVERGING, FLAT, LEAST_STRENGTH, SEQUENTIAL } from "./colour_scales.js";
import { BRANCH, LEFT_OUT, isWeak } from "./feature_maps.js";
import { FAINT, isFramed } from "./likeness.js";
import { REDUCTIONS } from "./reductions.js";

/** @typedef {import("./colour_scales.js").ColourScale} ColourScale */
/** @typedef {import("./colour_scales.js").GridStyle} GridStyle */
/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/** @typedef {import("./feature_maps.js").LeftOut} LeftOut */
/** @typedef {import("./feature_maps.js").ByReason} ByReason */

const OF_BRANCHES = "Branch: what a block adds to its input; their sum is what the block returns.";
/** With a space at which no line is broken. @param {string} number */
const inPercent = (number) => `${number}\u00a0%`;
const OF_FAINT = `Faint: range under ${inPercent(general(100 * FAINT, 3))} of the widest.`;
const OF_FLAT = `Flat: range under ${inPercent(general(100 * FLAT, 3))} of its values.`;
/**
 * Why outputs are not drawn, as an overview says it of one and of several: each reason is in one row.
 * @type {[one: string, several: string, kinds: LeftOut[]][]}
 */
export const IN_SHORT = [
  ["lies inside a block", "lie inside blocks", ["inside"]],
  ["precedes an activation", "precede an activation", ["preactivation"]],
  ["looks like a tile here", "look like a tile here", ["repeat", "similar", "pooling", "noise"]],
  ["is a checkerboard", "are checkerboards", ["checkerboard"]],
  ["is nearly constant", "are nearly constant", ["weak", "rounding", "constant"]],
  ["has no map", "have no map", ["point", "flat"]],
];
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
 * What the tiles of an overview show.
 * @param {FeatureMap[]} maps of all tiles
 * @param {number} depth of the blocks that it is of; 0 if it is of none
 * @returns {string[]}
 */
export function overviewExplained(maps, depth) {
  const { words, components } = REDUCTIONS[usualReduction(maps)];
  const whose = depth ? "a block's channels" : "a layer's channels";
  if (!components) {
    const last = maps[maps.length - 1];
    const parts = last.part ? `, and of ${last.name} each channel` : "";
    return [`Each tile is ${words.replace("the channels", whose)}${parts}.`];
  }
  if (maps.some(({ hues }) => hues)) {
    return [`PC1 as brightness, PC2 and PC3 as hue: principal components of ${whose}, with shares of variance.`];
  }
  const several = [...new Set(maps.map(({ part }) => part).filter(Boolean))];
  if (several.length) {
    return [`${several.join(", ")}: the first principal components of ${whose}, with shares of variance.`];
  }
  return [`PC1: the first principal component of ${whose}, with its share of variance.`];
}

/**
 * What the signs of an overview's principal components are, where there are several.
 * @param {FeatureMap[]} maps
 * @returns {string[]}
 */
export function signNotes(maps) {
  if (!REDUCTIONS[usualReduction(maps)].components || maps.length < 2) return [];
  return ["Signs of components are free: each is turned to look like the one before."];
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
export const frameNotes = (maps) => (maps.some((map) => isFramed(map) && !isWeak(map)) ? ["Frame: from padding."] : []);

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
 * Which tiles are faint or flat, and what the bars beside the tiles' texts say, as far as there are any.
 * @param {FeatureMap[]} maps of these tiles
 * @param {number[] | null} strengths of all
 * @param {boolean} flat whether one is nearly constant
 * @returns {string[]}
 */
export function weakNotes(maps, strengths, flat) {
  const least = withPower(LEAST_STRENGTH.toExponential()).replace(/^1·/, "");
  const bars = `Bars: range on a log scale, full for the widest, empty at ${least} of it.`;
  return [...(strengths ? [bars] : []), ...(maps.some(isWeak) ? [OF_FAINT] : []), ...(flat ? [OF_FLAT] : [])];
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
  const isDiverging = style.symmetric || (!style.cmap && known.some(({ cmap }) => cmap === DIVERGING));
  const symmetric = isDiverging && bothSigns ? "; what has both signs, symmetrically around 0" : "";
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
  const less = known.some(isClipped) ? `, which ignore its border and its outermost ${inPercent("1")}` : "";
  const around = known.some(({ cmap }) => cmap === DIVERGING) ? "; 0\u00a0is the mean over the image" : "";
  return [`Each tile has its own colour limits (${colours})${less}${around}.`];
}

/**
 * What an end with two numbers says, if there is one; without marks, that ends are clipped.
 * @param {(ColourScale | null)[]} scales of all tiles
 * @param {GridStyle} style
 * @param {boolean} [hasMarks]
 * @returns {string[]}
 */
export function clipNotes(scales, style, hasMarks = true) {
  if (!scales.some((each) => each && isClipped(each))) return [];
  const clip = style.clip ?? null;
  const why = clip === null ? ", since so few would take many of the colours" : "";
  const begins = hasMarks ? "≤, ≥ and …: up" : "Up";
  return [`${begins} to ${general(clip ?? 1, 6)} % of the pixels lie farther out and share the end's colour${why}.`];
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
 * How many outputs are drawn, and of the others how many for which reason; each is counted once.
 * @param {FeatureMap[]} maps
 * @param {number} outputs
 * @param {ByReason} leftOut
 * @returns {string[]}
 */
export function drawnCounts(maps, outputs, leftOut) {
  const why = IN_SHORT.flatMap(([one, several, kinds]) => {
    const count = kinds.reduce((sum, kind) => sum + (leftOut[kind] ?? []).length, 0);
    return count ? [`${count} ${count > 1 ? several : one}`] : [];
  });
  const drawn = new Set(maps.map(({ name }) => name)).size;
  const said = `${drawn} of ${outputs} outputs ${drawn > 1 ? "are" : "is"} drawn; of the others ${why.join(", ")}.`;
  return why.length ? [said] : [];
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
