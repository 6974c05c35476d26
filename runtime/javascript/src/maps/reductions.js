// The ways from a tensor, C H W, to one map, H W: the table of `runtime/maps/reductions.py`, with the same rows.

import { principalComponents } from "./principal_components.js";

/** @typedef {import("./channels.js").Channels} Channels */
/**
 * @typedef {object} Reduction
 * @property {(tensor: Channels) => Float64Array} reduce C H W to H W
 * @property {(tensor: Channels) => Float64Array} magnitude the size of the numbers it computes with, H W, of which
 *   rounding is a fraction
 * @property {string} words what a map is, for the sentences below a grid
 * @property {(tensor: Channels) => import("./principal_components.js").PrincipalComponents} [components] where the map is
 *   the first of several: C H W to all of them
 */

/**
 * @param {Channels} tensor
 * @param {(sum: number, value: number) => number} add
 * @param {number} start
 * @returns {Float64Array} H W
 */
function folded(tensor, add, start = 0) {
  const pixels = tensor.height * tensor.width;
  const found = new Float64Array(pixels).fill(start);
  for (let channel = 0, at = 0; channel < tensor.channels; channel++) {
    for (let pixel = 0; pixel < pixels; pixel++) found[pixel] = add(found[pixel], tensor.data[at++]);
  }
  return found;
}

/** @param {Channels} tensor */
const mean = (tensor) => folded(tensor, (sum, value) => sum + value).map((sum) => sum / tensor.channels);

/** @param {Channels} tensor */
const absMean = (tensor) => folded(tensor, (sum, value) => sum + Math.abs(value)).map((sum) => sum / tensor.channels);

/** @param {Channels} tensor */
const l2 = (tensor) => folded(tensor, (sum, value) => sum + value * value).map(Math.sqrt);

/** @param {Channels} tensor */
const max = (tensor) => folded(tensor, (largest, value) => Math.max(largest, value), -Infinity);

/** @param {Channels} tensor */
const maxMagnitude = (tensor) => max(tensor).map(Math.abs);

/** @param {Channels} tensor */
function std(tensor) {
  const means = mean(tensor);
  const pixels = means.length;
  const sums = new Float64Array(pixels);
  for (let channel = 0, at = 0; channel < tensor.channels; channel++) {
    for (let pixel = 0; pixel < pixels; pixel++) sums[pixel] += (tensor.data[at++] - means[pixel]) ** 2;
  }
  return sums.map((sum) => Math.sqrt(sum / tensor.channels));
}

export const HUED_REDUCTION = "pca3";

/** By name, in Python's order. @type {Record<string, Reduction>} */
export const REDUCTIONS = {
  mean: { reduce: mean, magnitude: absMean, words: "the mean over the channels" },
  std: { reduce: std, magnitude: l2, words: "the standard deviation over the channels" },
  l2: { reduce: l2, magnitude: l2, words: "the Euclidean norm over the channels" },
  max: { reduce: max, magnitude: maxMagnitude, words: "the largest of the channels" },
  "abs-mean": { reduce: absMean, magnitude: absMean, words: "the mean of the channels' absolute values" },
  pca: {
    reduce: (tensor) => principalComponents(tensor, 1).first,
    magnitude: l2,
    words: "the first principal component of the channels, high where they are strong",
    components: (tensor) => principalComponents(tensor, 1),
  },
  [HUED_REDUCTION]: {
    reduce: (tensor) => principalComponents(tensor, 1).first,
    magnitude: l2,
    words: "the channels' principal components, PC1 as brightness, PC2 and PC3 as hue",
    components: principalComponents,
  },
};

/** Why another reduction is drawn than was chosen: what `GridStyle` says in Python, which refuses it. */
export const OWN_COLOURS =
  `${HUED_REDUCTION} has colours of its own: with a colour map, a shared or symmetric scale, or over the photo, ` +
  "pca is drawn.";

/**
 * The reduction as it can be drawn: three components have colours of their own, and with others only the first is drawn.
 * @param {{ reduce: string, cmap: string | null, shared: boolean, symmetric: boolean, overlay: boolean }} style
 */
export const reductionOf = ({ reduce, cmap, shared, symmetric, overlay }) =>
  reduce === HUED_REDUCTION && (cmap || shared || symmetric || overlay) ? "pca" : reduce;

export const AUTO = "auto";
/** What `auto` tries in turn until a map shows something. */
export const AUTO_ORDER = ["mean", "pca"];
