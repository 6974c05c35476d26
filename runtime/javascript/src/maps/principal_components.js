// The first principal component of a tensor's channels, for `reductions.js`, in float64 as `runtime/maps/reductions.py`.

import { largestEigenpairs } from "./eigenpairs.js";

/** @typedef {import("./channels.js").Channels} Channels */

const SAME_ENERGY = 0.05;

/**
 * Each pixel's channels, less their mean over the image, projected on the direction in which they vary most; high
 * where the channels are large, or where that is nearly the same everywhere, where the farthest pixels are.
 * @param {Channels} tensor C H W
 * @returns {Float64Array} H W; NaN where a channel isn't finite
 */
export function principalComponent(tensor) {
  const found = new Float64Array(tensor.height * tensor.width).fill(NaN);
  const kept = finitePixels(tensor);
  if (kept.length === 0) return found;
  const centred = lessMeans(tensor, kept);
  const scores = signed(scoresOf(centred, tensor.channels), energyOf(tensor, kept));
  kept.forEach((pixel, index) => {
    found[pixel] = scores[index];
  });
  return found;
}

/**
 * The share of the channels' variance over the image that a component's scores hold.
 * @param {Channels} tensor
 * @param {Float64Array} scores
 * @returns {number | null}
 */
export function explainedShare(tensor, scores) {
  const kept = finitePixels(tensor);
  if (kept.length < scores.length) return null;
  const scale = scores.reduce((most, score) => Math.max(most, Math.abs(score)), 0) || 1;
  let whole = 0;
  for (const value of lessMeans(tensor, kept)) whole += (value / scale) ** 2;
  let held = 0;
  for (const score of scores) held += (score / scale) ** 2;
  const share = whole ? held / whole : NaN;
  return Number.isFinite(share) ? Math.min(share, 1) : null;
}

/**
 * The pixels of which every channel is finite.
 * @param {Channels} tensor
 * @returns {number[]}
 */
function finitePixels({ channels, height, width, data }) {
  const pixels = height * width;
  const isFinite = new Uint8Array(pixels).fill(1);
  for (let channel = 0, at = 0; channel < channels; channel++) {
    for (let pixel = 0; pixel < pixels; pixel++) if (!Number.isFinite(data[at++])) isFinite[pixel] = 0;
  }
  return Array.from(isFinite.keys()).filter((pixel) => isFinite[pixel]);
}

/**
 * C P: of each channel some pixels, less their mean.
 * @param {Channels} tensor
 * @param {number[]} kept
 */
function lessMeans({ channels, height, width, data }, kept) {
  const centred = new Float64Array(channels * kept.length);
  for (let channel = 0, to = 0; channel < channels; channel++) {
    const start = channel * height * width;
    let sum = 0;
    for (const pixel of kept) sum += data[start + pixel];
    const mean = sum / kept.length;
    for (const pixel of kept) centred[to++] = data[start + pixel] - mean;
  }
  return centred;
}

/**
 * The sum of squares of each pixel's channels.
 * @param {Channels} tensor
 * @param {number[]} kept
 */
function energyOf({ channels, height, width, data }, kept) {
  const energy = new Float64Array(kept.length);
  for (let channel = 0; channel < channels; channel++) {
    const start = channel * height * width;
    kept.forEach((pixel, index) => {
      energy[index] += data[start + pixel] ** 2;
    });
  }
  return energy;
}

/**
 * C P to P: the first component's scores, by the smaller of the two matrices that have it.
 * @param {Float64Array} centred
 * @param {number} channels
 * @returns {Float64Array}
 */
function scoresOf(centred, channels) {
  const pixels = centred.length / channels;
  // The squares of the largest numbers would overflow.
  const scale = centred.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const scaled = centred.map((value) => value / scale);
  const byChannels = channels <= pixels;
  /** @param {Float64Array} vector of pixels @returns {Float64Array} of channels */
  const down = (vector) => {
    const result = new Float64Array(channels);
    for (let channel = 0, at = 0; channel < channels; channel++) {
      let sum = 0;
      for (let pixel = 0; pixel < pixels; pixel++) sum += scaled[at++] * vector[pixel];
      result[channel] = sum;
    }
    return result;
  };
  /** @param {Float64Array} vector of channels @returns {Float64Array} of pixels */
  const up = (vector) => {
    const result = new Float64Array(pixels);
    for (let channel = 0, at = 0; channel < channels; channel++) {
      const weight = vector[channel];
      for (let pixel = 0; pixel < pixels; pixel++) result[pixel] += scaled[at++] * weight;
    }
    return result;
  };
  const multiply = (/** @type {Float64Array} */ given) => (byChannels ? down(up(given)) : up(down(given)));
  const [{ vector, value }] = largestEigenpairs(multiply, Math.min(channels, pixels), 1);
  return byChannels
    ? up(vector).map((score) => score * scale)
    : vector.map((each) => each * Math.sqrt(Math.max(value, 0)) * scale);
}

/**
 * The sign by which a map is high where the channels are strong.
 * @param {Float64Array} scores
 * @param {Float64Array} energy the sum of squares of each pixel's channels
 */
function signed(scores, energy) {
  const mean = energy.reduce((sum, each) => sum + each, 0) / energy.length;
  let low = Infinity;
  let high = -Infinity;
  let along = 0;
  let skew = 0;
  let largest = 0;
  scores.forEach((score, index) => {
    low = Math.min(low, energy[index]);
    high = Math.max(high, energy[index]);
    along += score * (energy[index] - mean);
    largest = Math.max(largest, Math.abs(score));
  });
  for (const score of scores) skew += (score / (largest || 1)) ** 3;
  const sign = high - low > SAME_ENERGY * high ? along : skew;
  return sign >= 0 ? scores : scores.map((score) => -score);
}
