// Normalizations: by given statistics, by the tensor's own, and over what adds up to 1 (Softmax).

import { NotComputed, Values, axisOf, larger, map, mean, reduce, sizeOf, sum, zeros, zip } from "./values.js";

/** @typedef {import("./calls.js").Call} Call */

/**
 * @param {Values} x of one axis, C
 * @param {number} rank
 * @returns {Values} as a tensor that broadcasts to N C *spatial
 */
export const byChannel = (x, rank) => x.reshaped([x.size, ...new Array(Math.max(0, rank - 2)).fill(1)]);

/** @param {Call} call N C *spatial, by the given statistics @returns {Values[]} */
export function batchNormalization(call) {
  const [x, scale, bias, average, variance] = call.given(5);
  if (call.int("training_mode") || call.node.outputs.length > 1 || call.attribute("spatial") === 0) {
    throw new NotComputed("BatchNormalization by a batch's own statistics");
  }
  const epsilon = call.float("epsilon"),
    out = zeros(x.shape),
    channels = x.shape[1],
    pixels = sizeOf(x.shape.slice(2));
  if ([scale, bias, average, variance].some((each) => each.size !== channels))
    throw new NotComputed("its statistics are not one for each channel");
  for (let number = 0, place = 0; number < x.shape[0] * channels; number++) {
    const channel = number % channels,
      slope = scale.data[channel] / Math.sqrt(variance.data[channel] + epsilon);
    const middle = average.data[channel],
      shift = bias.data[channel];
    for (let pixel = 0; pixel < pixels; pixel++, place++) out.data[place] = (x.data[place] - middle) * slope + shift;
  }
  return [out];
}

/**
 * @param {Values} x
 * @param {readonly number[]} axes that are normalized together
 * @param {number} epsilon
 * @param {boolean} [centred] whether the mean is taken away first
 * @returns {Values}
 */
function normalized(x, axes, epsilon, centred = true) {
  const elements = centred ? zip(x, mean(x, axes), (value, average) => value - average) : x;
  const variance = mean(
    map(elements, (value) => value * value),
    axes,
  );
  return zip(elements, variance, (value, square) => value / Math.sqrt(square + epsilon));
}

/** @param {number} rank @param {number} first @returns {number[]} the axes from one on */
const axesFrom = (rank, first) => Array.from({ length: rank - first }, (_, axis) => first + axis);

/** @param {Values} x @param {Values} gain @param {Values | null | undefined} shift @returns {Values} */
function scaled(x, gain, shift) {
  const out = zip(x, gain, (value, factor) => value * factor);
  return shift ? zip(out, shift, (value, other) => value + other) : out;
}

/** @param {Call} call @returns {Values[]} over the axes from `axis` on */
export function layerNormalization(call) {
  const [x, gain] = call.given(2),
    axes = axesFrom(x.rank, axisOf(call.int("axis"), x.rank));
  if (call.node.outputs.length > 1) throw new NotComputed("its statistics are no results here");
  return [scaled(normalized(x, axes, call.float("epsilon")), gain, call.inputs[2])];
}

/** @param {Call} call @returns {Values[]} likewise, without taking the mean away */
export function rmsNormalization(call) {
  const [x, gain] = call.given(2),
    axes = axesFrom(x.rank, axisOf(call.int("axis"), x.rank));
  return [scaled(normalized(x, axes, call.float("epsilon"), false), gain, null)];
}

/** @param {Call} call N C *spatial, each channel of each image @returns {Values[]} */
export function instanceNormalization(call) {
  const [x, gain, shift] = call.given(3);
  const y = normalized(x, axesFrom(x.rank, 2), call.float("epsilon"));
  return [scaled(y, byChannel(gain, x.rank), byChannel(shift, x.rank))];
}

/** @param {Call} call N C *spatial, some channels of each image together @returns {Values[]} */
export function groupNormalization(call) {
  const [x, gain, shift] = call.given(3),
    groups = call.int("num_groups"),
    together = x.size / x.shape[0] / groups;
  if (x.shape[1] % groups) throw new NotComputed(`${x.shape[1]} channels don't make ${groups} groups`);
  const y = normalized(x.reshaped([x.shape[0], groups, together]), [2], call.float("epsilon")).reshaped(x.shape);
  // Before opset 21 there is a factor for each group.
  return [scaled(y, byChannel(repeated(gain, x.shape[1]), x.rank), byChannel(repeated(shift, x.shape[1]), x.rank))];
}

/** @param {Values} x of one axis @param {number} count @returns {Values} each element as often as it takes */
export function repeated(x, count) {
  const times = count / x.size;
  if (!Number.isInteger(times)) throw new NotComputed(`${x.size} factors are not those of ${count} channels`);
  return new Values(
    [count],
    Float64Array.from({ length: count }, (_, place) => x.data[Math.floor(place / times)]),
  );
}

/** @param {Call} call @returns {Values[]} */
export function meanVarianceNormalization(call) {
  const [x] = call.given(1),
    axes = call.ints("axes") ?? [0, 2, 3];
  const centred = zip(x, mean(x, axes), (value, average) => value - average);
  const deviation = map(
    mean(
      map(centred, (value) => value * value),
      axes,
    ),
    Math.sqrt,
  );
  return [zip(centred, deviation, (value, spread) => value / (spread + 1e-9))];
}

/** @param {Call} call over neighbouring channels @returns {Values[]} */
export function lrn(call) {
  const [x] = call.given(1),
    [alpha, beta, bias] = ["alpha", "beta", "bias"].map((name) => call.float(name)),
    size = call.int("size");
  const channels = x.shape[1],
    pixels = sizeOf(x.shape.slice(2)),
    before = Math.floor((size - 1) / 2),
    out = zeros(x.shape);
  for (let place = 0; place < x.size; place++) {
    const channel = Math.floor(place / pixels) % channels;
    let total = 0;
    for (let other = Math.max(0, channel - before); other < Math.min(channels, channel - before + size); other++) {
      total += x.data[place + (other - channel) * pixels] ** 2;
    }
    out.data[place] = x.data[place] / (bias + (alpha / size) * total) ** beta;
  }
  return [out];
}

/** @param {Call} call @returns {Values[]} */
export function lpNormalization(call) {
  const [x] = call.given(1),
    axes = [axisOf(call.int("axis"), x.rank)],
    p = call.int("p");
  const norm = map(
    sum(
      map(x, (value) => Math.abs(value) ** p),
      axes,
    ),
    (total) => total ** (1 / p),
  );
  return [zip(x, norm, (value, length) => (length === 0 ? 0 : value / length))];
}

/** Before this opset, Softmax was over all axes from one on. */
const OF_ONE_AXIS = 13;

/**
 * @param {Call} call
 * @param {Values} x
 * @returns {{ x: Values, axis: number }} as a tensor, and its axis, along which it is 1 together
 */
export function softmaxAxis(call, x) {
  const axis = axisOf(call.int("axis"), x.rank);
  if (call.opset >= OF_ONE_AXIS) return { x, axis };
  const outer = x.shape.slice(0, axis);
  return { x: x.reshaped([...outer, sizeOf(x.shape.slice(axis))]), axis };
}

/** @param {Call} call @returns {Values[]} */
export function softmax(call) {
  const [given] = call.given(1),
    { x, axis } = softmaxAxis(call, given);
  const y = zip(x, reduce(x, [axis], -Infinity, larger), (value, largest) => Math.exp(value - largest));
  return [zip(y, sum(y, [axis]), (value, total) => value / total).reshaped(given.shape)];
}

/** @param {Call} call @returns {Values[]} */
export function logSoftmax(call) {
  const [given] = call.given(1),
    { x, axis } = softmaxAxis(call, given);
  const y = zip(x, reduce(x, [axis], -Infinity, larger), (value, largest) => value - largest);
  const total = map(sum(map(y, Math.exp), [axis]), Math.log);
  return [zip(y, total, (value, other) => value - other).reshaped(given.shape)];
}
