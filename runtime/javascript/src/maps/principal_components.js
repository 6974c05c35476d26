// The first three principal components of a tensor's channels: of each pixel a brightness and a hue, in float64 as
// `runtime/maps/principal_components.py`. How they become colours is in `component_colours.js`.

import { largestEigenpairs } from "./eigenpairs.js";

/** @typedef {import("./channels.js").Channels} Channels */

const SAME_ENERGY = 0.05;

/** Of the channels' variance: a second or third component that holds less has no hue, since it may be rounding. */
const LEAST_HUE = 0.01;

/**
 * @typedef {object} Hues the second and the third component
 * @property {Float64Array} plane H W 2: their scores, each in multiples of its standard deviation; 0 where it holds hardly
 *   anything, and where a pixel isn't finite
 * @property {number} share how much of the channels' variance, over the finite pixels, those that are drawn hold, with
 *   the first
 * @property {number} count how many these are, up to 3: 1 where no other holds anything, as of one channel
 */
/**
 * @typedef {object} PrincipalComponents the first, what the others are, and where every pixel is finite, how much it holds
 * @property {Float64Array} first H W
 * @property {number | null} share how much of the channels' variance over the image it holds
 * @property {Hues | null} hues
 * @property {{ values: Float64Array, share: number }[]} others the second and the third, if they are computed: the scores,
 *   H W, and how much of the variance over the finite pixels each holds
 */

/**
 * Each pixel's channels, less their mean over the image, projected on where they vary most; the first is high where the
 * channels are large, or where that is nearly the same everywhere, where the farthest pixels are.
 * @param {Channels} tensor C H W
 * @param {1 | 3} [count] how many are computed: of one there are no hues
 * @returns {PrincipalComponents} NaN where a channel isn't finite
 */
export function principalComponents(tensor, count = 3) {
  const pixels = tensor.height * tensor.width;
  const kept = finitePixels(tensor);
  const laidOut = (/** @type {Float64Array} */ scores) => {
    const found = new Float64Array(pixels).fill(NaN);
    kept.forEach((pixel, index) => {
      found[pixel] = scores[index];
    });
    return found;
  };
  const none = { share: null, hues: null, others: [] };
  if (kept.length === 0) return { first: laidOut(new Float64Array(0)), ...none };
  const centred = lessMeans(tensor, kept);
  // The squares of the largest numbers would overflow.
  const scale = centred.reduce((most, value) => Math.max(most, Math.abs(value)), 0) || 1;
  const scaled = centred.map((value) => value / scale);
  const scores = scoresOf(scaled, tensor.channels, count);
  const unscaled = scores[0].map((score) => score * scale);
  const first = laidOut(signed(unscaled, energyOf(tensor, kept)));
  const whole = sumOfSquares(scaled);
  if (!whole || !Number.isFinite(whole)) return { first, ...none };
  const shares = scores.map((each) => Math.min(sumOfSquares(each) / whole, 1));
  const share = kept.length < pixels ? null : shares[0];
  if (count === 1) return { ...none, first, share };
  // So that one tensor has one picture.
  const rest = scores.slice(1).map((each) => (each.reduce((sum, score) => sum + score ** 3, 0) >= 0 ? each : negated(each)));
  const plane = new Float64Array(2 * pixels);
  const drawn = shares.filter((each, component) => component === 0 || each >= LEAST_HUE);
  rest.slice(0, drawn.length - 1).forEach((each, axis) => {
    const deviation = Math.sqrt(sumOfSquares(each) / kept.length);
    each.forEach((score, index) => {
      plane[2 * kept[index] + axis] = score / deviation;
    });
  });
  const held = Math.min(drawn.reduce((sum, each) => sum + each, 0), 1);
  const others = rest.map((each, index) => ({
    values: laidOut(each.map((score) => score * scale)),
    share: shares[index + 1],
  }));
  return { first, share, hues: { plane, share: held, count: drawn.length }, others };
}

/** @param {Float64Array} values */
const negated = (values) => values.map((value) => -value);

/** @param {Float64Array} values */
const sumOfSquares = (values) => values.reduce((sum, value) => sum + value * value, 0);

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
 * C P to P each: the components' scores, by the smaller of the two matrices that have them.
 * @param {Float64Array} scaled
 * @param {number} channels
 * @param {number} count
 * @returns {Float64Array[]}
 */
function scoresOf(scaled, channels, count) {
  const pixels = scaled.length / channels;
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
  return largestEigenpairs(multiply, Math.min(channels, pixels), count).map(({ vector, value }) =>
    byChannels ? up(vector) : vector.map((each) => each * Math.sqrt(Math.max(value, 0))),
  );
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
  return sign >= 0 ? scores : negated(scores);
}
