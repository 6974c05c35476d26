// Which channels of one output are shown, and in which scale: the rules of `runtime/maps/channel_grid.py`. A channel's
// zero means that the unit doesn't respond, and one scale for all shows which responds most.

import { scalesOf } from "./colour_scales.js";
import { general } from "../number_words.js";
import { listed } from "./footer.js";

/** @typedef {import("./channels.js").Channels} Channels */

/**
 * @typedef {object} ChannelGrid
 * @property {number[]} numbers of the channels that vary over the image, in their order
 * @property {number[]} strongest the same, those that vary most first
 * @property {import("./colour_scales.js").ColourScale | null} scale of all
 * @property {string} lead which varies most, and which least; empty where there is nothing to compare
 * @property {string[]} notes what is left out
 */

/**
 * One channel, H W.
 * @param {Channels} tensor
 * @param {number} number
 */
export function channelOf(tensor, number) {
  const size = tensor.height * tensor.width;
  return tensor.data.subarray(number * size, (number + 1) * size);
}

/**
 * @param {Channels} tensor
 * @param {import("./colour_scales.js").GridStyle} style of which colours and clipping apply
 * @returns {ChannelGrid}
 */
export function channelGrid(tensor, style) {
  const all = Array.from({ length: tensor.channels }, (_, number) => number);
  const isVarying = all.map((number) => {
    const channel = channelOf(tensor, number);
    // A NaN differs from itself, and is shown, too.
    return channel.some((value) => value !== channel[0] || !Number.isFinite(value));
  });
  const numbers = all.filter((number) => isVarying[number]);
  const spread = new Map(numbers.map((number) => [number, spreadOf(channelOf(tensor, number))]));
  const spreadOfNumber = (/** @type {number} */ number) => /** @type {number} */ (spread.get(number));
  const strongest = [...numbers].sort((one, other) => spreadOfNumber(other) - spreadOfNumber(one) || one - other);
  const values = numbers.map((number) => channelOf(tensor, number));
  const [scale = null] = values.length ? scalesOf(values, { ...style, shared: true, symmetric: true }) : [];
  const constant = all.filter((number) => !isVarying[number]);
  const count = `${constant.length} of the ${tensor.channels} channels ${constant.length === 1 ? "is" : "are"}`;
  const leftOut = constant.length
    ? [`${count} constant over the image and left out: ${listed(constant.map(String))}.`]
    : [];
  return { numbers, strongest, scale, lead: leadOf(strongest, spreadOfNumber), notes: leftOut };
}

/**
 * @param {number[]} strongest
 * @param {(number: number) => number} spreadOf
 */
function leadOf(strongest, spreadOf) {
  if (strongest.length < 2 || !strongest.every((number) => Number.isFinite(spreadOf(number)))) return "";
  const [most] = strongest;
  // Of equal ones the first, as where the least is looked for by number.
  const lowest = Math.min(...strongest.map(spreadOf));
  const least = Math.min(...strongest.filter((number) => spreadOf(number) === lowest));
  const [high, low] = [most, least].map((number) => general(spreadOf(number), 3));
  return (
    `Channel ${most} varies most over the image (standard deviation ${high}), of those drawn ` +
    `${least} least (${low}).`
  );
}

/**
 * The standard deviation; infinite where it is none.
 * @param {Float32Array | Float64Array} values
 */
function spreadOf(values) {
  let sum = 0;
  for (const value of values) sum += value;
  const mean = sum / values.length;
  let squares = 0;
  for (const value of values) squares += (value - mean) ** 2;
  const spread = Math.sqrt(squares / values.length);
  return Number.isNaN(spread) ? Infinity : spread;
}
