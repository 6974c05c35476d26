// What is known of each channel of a tensor, over all its elements: an error that the sample misses shows here.

import { sizeOf } from "../tensor.js";

/** @typedef {import("../float64/values.js").Values} Values */

/**
 * @param {readonly number[]} shape
 * @param {number | null} axis
 * @returns {[number, number, number]} the tensor as A C B
 */
function byChannel(shape, axis) {
  if (axis === null) return [1, 1, sizeOf(shape)];
  return [sizeOf(shape.slice(0, axis)), shape[axis], sizeOf(shape.slice(axis + 1))];
}

/**
 * @param {Values} tensor of finite numbers
 * @param {number | null} axis
 * @returns {Float64Array} 4 C: mean, root mean square, minimum and maximum of each channel
 */
export function channelStatistics({ shape, data }, axis) {
  const [before, channels, after] = byChannel(shape, axis),
    out = new Float64Array(4 * channels),
    count = Math.max(1, before * after);
  out.fill(Infinity, 2 * channels, 3 * channels).fill(-Infinity, 3 * channels);
  for (let outer = 0, at = 0; outer < before; outer++) {
    for (let channel = 0; channel < channels; channel++) {
      let [sum, squares, least, most] = [0, 0, Infinity, -Infinity];
      for (let inner = 0; inner < after; inner++, at++) {
        const value = data[at];
        sum += value;
        squares += value * value;
        if (value < least) least = value;
        if (value > most) most = value;
      }
      out[channel] += sum / count;
      out[channels + channel] += squares / count;
      out[2 * channels + channel] = Math.min(out[2 * channels + channel], least);
      out[3 * channels + channel] = Math.max(out[3 * channels + channel], most);
    }
  }
  for (let channel = channels; channel < 2 * channels; channel++) out[channel] = Math.sqrt(out[channel]);
  return out;
}

/**
 * @param {Values} tensor that broadcasts to one of `rank` axes
 * @param {number} rank
 * @param {number | null} axis of that one
 * @returns {Float64Array} the largest element of each channel, C; a single one where it has no such axis
 */
export function channelMaximum({ shape, data }, rank, axis) {
  const whole = [...new Array(rank - shape.length).fill(1), ...shape],
    [before, channels, after] = byChannel(whole, axis),
    out = new Float64Array(channels).fill(-Infinity);
  for (let outer = 0, at = 0; outer < before; outer++) {
    for (let channel = 0; channel < channels; channel++) {
      for (let inner = 0; inner < after; inner++, at++)
        if (data[at] > out[channel] || data[at] !== data[at]) out[channel] = data[at];
    }
  }
  return out;
}
