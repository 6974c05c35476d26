// How large the numbers are that an operation adds up or passes through: its natural scale, element by element.
//
// One rounding may cost float32's machine epsilon times this scale, whatever the result (running error analysis: Higham,
// Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.3). These are the kinds of rules; which operator has
// which is in `operators.js`. They are those of layerprobe's runtime/float64/natural_scale.py.

import { byChannel, repeated, softmaxAxis } from "./normalizations.js";
import {
  Values,
  absolute,
  axisOf,
  broadcastTo,
  larger,
  largestFinite,
  map,
  mean,
  reduce,
  sameShape,
  scalar,
  sizeOf,
  sum,
  zeros,
  zip,
} from "./values.js";

/** @typedef {import("./calls.js").ScaledCall} ScaledCall */
/** @typedef {(call: ScaledCall) => Values} Rule it returns a tensor that broadcasts to the output */

/** Float32's. */
export const EPSILON = 2 ** -23;
/** A factor smaller than a normal number may be flushed to zero (Higham's model (2.8) with underflow). */
const UNDERFLOW = 2 ** -126 / EPSILON;

/** @param {Values} a @param {Values} b */
const add = (a, b) => zip(a, b, (one, other) => one + other);
/** @param {Values} a @param {Values} b */
const maximum = (a, b) => zip(a, b, larger);

// --- sums: |w| * |x| + |b|

/** What the sums on the way may lose: runtimes add up some 16 at once. @param {number} terms @param {Values} total */
const ofSums = (terms, total) => map(total, (each) => Math.abs(each) * (Math.sqrt(terms) / 4));

/** @param {ScaledCall} call @returns {number} how many numbers each element of the output is the sum of */
function termsOf(call) {
  const [x, w] = call.inputs,
    kind = call.node.opType;
  if (kind === "Conv" || kind === "ConvTranspose")
    return w ? Math.max(1, Math.floor(w.size / Math.max(1, w.shape[0]))) : 1;
  if (!x) return 1;
  if (kind === "MatMul" || kind === "Gemm") return Math.max(1, x.shape[x.rank - (call.int("transA") ? 2 : 1)] ?? 1);
  return Math.max(1, Math.floor(x.size / Math.max(1, call.output.size)));
}

/**
 * What is linear in each of some inputs, of all if none is named: |x| passed through it.
 *
 * @param {number[]} places
 * @returns {Rule}
 */
export const linear =
  (...places) =>
  (call) => {
    /** @type {Map<number, Values>} */
    const sizes = new Map();
    for (const [place, value] of call.inputs.entries()) {
      if (value?.isFloat && (!places.length || places.includes(place)))
        sizes.set(
          place,
          map(value, (each) => Math.abs(each) + UNDERFLOW),
        );
    }
    /** @param {Map<number, Values>} given */
    const passed = (given) => absolute(call.evaluate(call.inputs.map((value, place) => given.get(place) ?? value)));
    let scale = passed(sizes);
    if (call.rounds) scale = add(scale, ofSums(termsOf(call), call.output));
    // A mean or a sum has no weights that could be off.
    else if (sizes.size === 1 && !places.length) scale = call.own(scale);
    else {
      // Weights that the exporter computed, as of weight_norm, are off one by one, or all by one factor.
      const root = Math.sqrt(termsOf(call));
      scale = zip(scale, call.output, (each, result) => each / root + 2 * Math.abs(result));
    }
    for (const { place, value, lost } of call.losses()) {
      const more = sizes.has(place)
        ? passed(new Map(sizes).set(place, broadcastTo(lost, value.shape)))
        : moved(call, place, value, lost);
      scale = add(scale, more);
    }
    return scale;
  };

/** The largest scale of each channel of each image, since fast convolutions mix what lies side by side. @type {Rule} */
export function convolved(call) {
  const scale = linear()(call),
    kernel = call.inputs[1]?.shape.slice(2) ?? [];
  if (!call.rounds || Math.max(...kernel) === 1) return scale;
  const pixels = scale.shape.map((_, axis) => axis).slice(2);
  const largest = reduce(scale, pixels, 0, (total, value) => (value > total && value < Infinity ? value : total));
  return scale.data.every(Number.isFinite) ? largest : maximum(scale, largest);
}

/** @type {Rule} */
export function added(call) {
  const parts = call.inputs.map((_, place) => call.own(call.sizeOf(place)));
  for (const lost of call.lost) if (lost) parts.push(lost);
  const total = parts.slice(1).reduce(add, parts[0]),
    count = call.inputs.length;
  return call.node.opType === "Mean" ? map(total, (each) => each / count) : total;
}

/** @type {Rule} */
export function multiplied(call) {
  let scale = call.own(absolute(call.output));
  for (const { place, lost } of call.losses())
    scale = add(
      scale,
      zip(lost, call.sizeOf(1 - place), (one, other) => one * other),
    );
  return scale;
}

/** What takes values between elements, at positions that are rounded as well. @type {Rule} */
export function sampled(call) {
  // Its factors are no values that pass through, and a little less of one is another size.
  const alone = call.with({ lost: call.lost.map((lost, place) => (place ? null : lost)) }),
    [x] = call.inputs;
  if (!x) return scalar(0);
  if (call.text("mode") === "nearest" || !call.text("mode")) return copied(0)(alone);
  let between = linear(0)(alone);
  if (call.text("mode") === "cubic") {
    const largest = reduce(absolute(x), x.shape.map((_, axis) => axis).slice(2), 0, larger);
    between = zip(between, largest, (each, most) => each + most / 4);
  }
  const factor = 1 + Math.max(1, ...x.shape.slice(2));
  return map(between, (each) => each * factor);
}

// --- copies

/**
 * What moves its inputs (some, or all): what they lost before, or their own size.
 *
 * @param {number[]} places
 * @returns {Rule}
 */
export const copied =
  (...places) =>
  (call) => {
    const given = call.inputs.slice();
    for (const { place, value, lost } of call.losses()) {
      if (!places.length || places.includes(place)) given[place] = broadcastTo(lost, value.shape);
    }
    if (given.every((each, place) => each === call.inputs[place])) return call.own(absolute(call.output));
    given.forEach((other, place) => {
      if (other === call.inputs[place] && other?.isFloat && (!places.length || places.includes(place)))
        given[place] = call.own(call.sizeOf(place));
    });
    return absolute(call.evaluate(given));
  };

// --- element by element

/**
 * A function of each element.
 *
 * @param {(output: Values, ...sizes: Values[]) => Values} own what the function itself may lose, of the absolute values
 *     of its result and its inputs
 * @param {number} [steepest] the largest slope, by which what was lost before counts; without it, it depends on the element
 * @param {number} [values] how many of the inputs, the first ones, are such elements
 * @returns {Rule}
 */
export const elementwise = (own, steepest, values) => (call) => {
  let scale = call.own(own(absolute(call.output), ...call.inputs.map((_, place) => call.sizeOf(place))));
  for (const { place, value, lost } of call.losses()) {
    if (values !== undefined && place >= values) continue;
    scale = add(scale, steepest === undefined ? moved(call, place, value, lost) : map(lost, (each) => each * steepest));
  }
  return scale;
};

/**
 * How far the output moves where an input moves by what it lost, up or down.
 *
 * @param {ScaledCall} call
 * @param {number} place
 * @param {Values} value
 * @param {Values} lost
 */
function moved(call, place, value, lost) {
  const changes = [EPSILON, -EPSILON].map((step) => {
    const other = zip(value, lost, (each, loss) => each + step * loss);
    return map(call.change(call.inputs.map((each, at) => (at === place ? other : each))), (each) =>
      Number.isFinite(each) ? each / EPSILON : 0,
    );
  });
  return maximum(changes[0], changes[1]);
}

/** @param {Values} _ @param {Values} x */
export const ofFirst = (_, x) => x;
/** @param {Values} y */
export const ofResult = (y) => y;
/** @param {number} factor @returns {(y: Values) => Values} */
export const ofResultTimes = (factor) => (y) => map(y, (each) => factor * each);
/**
 * 1, or the result where it is larger: what goes through exp has an absolute error, however small the result.
 *
 * @param {Values} y
 */
export const ofExp = (y) => map(y, (each) => Math.max(each, 1));
/** @param {Values} y @param {Values} x */
export const ofResultAndArgument = (y, x) => zip(y, x, (result, argument) => result * (1 + argument));
/** @param {Values} _ @param {Values} x */
export const ofArgument = (_, x) => map(x, (argument) => 1 + argument);

/** @param {Values} y @param {Values} x @param {Values} exponent */
export function ofPower(y, x, exponent) {
  const steepness = zip(exponent, x, (power, base) => power * Math.abs(Math.log(base)));
  return zip(y, steepness, (result, steep) => result * (1 + (Number.isFinite(steep) ? steep : 0)));
}

// --- normalisations

/** Of y: 1, its argument's distance from the largest, and what that lost. @type {Rule} */
export function ofSoftmax(call) {
  const [given] = call.inputs;
  if (!given) return scalar(0);
  const { x, axis } = softmaxAxis(call, given),
    largest = reduce(x, [axis], -Infinity, larger);
  const distance = zip(x, largest, (value, most) => (Number.isFinite(value) ? most - value : 0));
  const parts = zip(x, largest, (value, most) => Math.exp(value - most)),
    share = zip(parts, sum(parts, [axis]), (each, total) => each / total);
  const sums = Math.sqrt(x.size / Math.max(1, largest.size)) / 4;
  let relative = call.own(map(distance, (each) => 1 + each + sums));
  if (call.lost[0]) relative = add(relative, broadcastTo(call.lost[0], given.shape).reshaped(x.shape));
  const weighted = zip(share, relative, (part, each) => part * each);
  const all = add(relative, sum(weighted, [axis]));
  const scale =
    call.node.opType === "LogSoftmax"
      ? add(all, call.own(absolute(largest)))
      : zip(share, all, (part, each) => part * each);
  return scale.reshaped(given.shape);
}

/** @type {Rule} */
export function ofBatchNorm(call) {
  const rank = call.output.rank,
    [slope, shift, average, variance] = [1, 2, 3, 4].map((place) => byChannel(call.sizeOf(place), rank));
  const epsilon = call.float("epsilon"),
    factor = zip(slope, variance, (each, square) => each / Math.sqrt(square + epsilon));
  let size = add(call.sizeOf(0), average);
  if (call.lost[0]) size = add(size, call.lost[0]);
  const scale = add(
    zip(size, factor, (each, times) => each * times),
    shift,
  );
  return call.losses().every(({ place }) => place === 0) ? scale : add(scale, ofUnknown(call));
}

/** (|x| + mean |x|) |r gamma| + |beta|, and the same of the variance, which is computed from x - mean. @type {Rule} */
export function ofNorm(call) {
  const [x] = call.inputs,
    kind = call.node.opType;
  if (!x || !sameShape(call.output.shape, x.shape)) return ofUnknown(call);
  const { shape, axes } = together(call, x);
  let elements = x.reshaped(shape),
    size = absolute(elements);
  if (call.lost[0]) size = add(size, broadcastTo(call.lost[0], x.shape).reshaped(shape));
  if (kind !== "RMSNormalization") {
    const average = mean(elements, axes),
      terms = elements.size / Math.max(1, average.size);
    size = add(size, add(mean(size, axes), ofSums(Math.floor(terms), average)));
    elements = zip(elements, average, (value, middle) => value - middle);
  }
  const epsilon = kind === "MeanVarianceNormalization" ? 0 : call.float("epsilon");
  const variance = map(
    mean(
      map(elements, (each) => each * each),
      axes,
    ),
    (each) => each + Math.max(epsilon, 1e-18),
  );
  const product = zip(elements, size, (each, other) => Math.abs(each) * other);
  const ofVariance = zip(mean(product, axes), variance, (each, square) => each / square);
  const spread = add(
    size,
    zip(elements, ofVariance, (each, factor) => Math.abs(each) * (1 + factor)),
  );
  const scale = zip(spread, variance, (each, square) => each / Math.sqrt(square)).reshaped(x.shape);
  if (kind === "MeanVarianceNormalization") return scale;
  let [gain, shift] = [call.sizeOf(1), call.sizeOf(2)];
  if (kind !== "LayerNormalization" && kind !== "RMSNormalization") {
    [gain, shift] = [gain, shift].map((each) => byChannel(repeated(each, x.shape[1]), x.rank));
  }
  return add(
    zip(scale, gain, (each, factor) => each * factor),
    shift,
  );
}

/**
 * @param {ScaledCall} call
 * @param {Values} x
 * @returns {{ shape: readonly number[], axes: number[] }} what is normalized together
 */
function together(call, x) {
  const kind = call.node.opType,
    spatial = x.shape.map((_, axis) => axis).slice(2);
  if (kind === "LayerNormalization" || kind === "RMSNormalization") {
    const first = axisOf(call.int("axis"), x.rank);
    return { shape: x.shape, axes: x.shape.map((_, axis) => axis).slice(first) };
  }
  if (kind === "GroupNormalization") {
    const groups = call.int("num_groups");
    return { shape: [x.shape[0], groups, sizeOf(x.shape) / x.shape[0] / groups], axes: [2] };
  }
  if (kind === "MeanVarianceNormalization") return { shape: x.shape, axes: call.ints("axes") ?? [0, 2, 3] };
  return { shape: x.shape, axes: spatial };
}

// --- anything else

/** The largest value, and how far any element moves where the inputs move by what they lost, at random. @type {Rule} */
export function ofUnknown(call) {
  let scale = largestFinite(absolute(call.output));
  const losses = call.losses(),
    random = generator(0);
  for (let trial = 0; trial < (losses.length ? 3 : 0); trial++) {
    const given = call.inputs.slice();
    for (const { place, value, lost } of losses)
      given[place] = zip(value, lost, (each, loss) => each + (random() < 0.5 ? -EPSILON : EPSILON) * loss);
    scale = Math.max(scale, largestFinite(call.change(given)) / EPSILON);
  }
  return scalar(scale);
}

/** A verdict allows 16 roundings of a runtime and 4 of a file, so that a whole step passes and two don't. */
const STEP = 12,
  STEP_IN_FILE = 3;

/** Of whole numbers: where rounding numbers led to them, a step where they lie at a tie. @type {Rule} */
export function ofSteps(call) {
  let turned = zeros(call.output.shape);
  for (const { place, value, lost } of call.losses()) {
    for (const step of [EPSILON, -EPSILON]) {
      const other = zip(value, lost, (each, loss) => each + step * loss);
      turned = maximum(turned, call.change(call.inputs.map((each, at) => (at === place ? other : each))));
    }
  }
  return map(turned, (each) => each / (EPSILON * (call.rounds ? STEP : STEP_IN_FILE)));
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). @param {number} seed @returns {() => number} */
export function generator(seed) {
  let state = (seed + 0x6d2b79f5) | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
