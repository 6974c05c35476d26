// MaxPool, AveragePool, LpPool and the global pools.

import { NotComputed, Values, larger, map, reduce, sizeOf, zeros } from "./values.js";
import { padded, positions, windowsOf } from "./windows.js";

/** @typedef {import("./calls.js").Call} Call */
/** @typedef {import("./windows.js").Windows} Windows */

/**
 * @param {Call} call N C *spatial
 * @param {Values} x
 * @param {number} fill of the padding
 * @param {(total: number, value: number) => number} f
 * @returns {{ out: Values, windows: Windows }}
 */
function pooled(call, x, fill, f) {
  if (call.node.outputs.length > 1) throw new NotComputed("the places of the maxima are no results here");
  const windows = windowsOf(call, x.shape.slice(2), call.ints("kernel_shape") ?? []);
  const { kernel, dilations, before, after } = windows;
  if (kernel.some((width, axis) => Math.max(before[axis], after[axis]) > (width - 1) * dilations[axis])) {
    throw new NotComputed("pads are not smaller than the kernel");
  }
  const { data, shape } = padded(x, windows, fill),
    out = zeros([...x.shape.slice(0, 2), ...windows.out], x.kind);
  const places = positions(windows.out, windows.strides, shape.slice(2)),
    taps = positions(kernel, dilations, shape.slice(2));
  const channel = sizeOf(shape.slice(2));
  for (let number = 0; number < x.shape[0] * x.shape[1]; number++) {
    const from = number * channel,
      at = number * places.length;
    for (let pixel = 0; pixel < places.length; pixel++) {
      const base = from + places[pixel];
      let total = data[base + taps[0]];
      for (let tap = 1; tap < taps.length; tap++) total = f(total, data[base + taps[tap]]);
      out.data[at + pixel] = total;
    }
  }
  return { out, windows };
}

/** @param {Call} call @returns {Values[]} padding is never the maximum */
export function maxPool(call) {
  const [x] = call.given(1);
  return [pooled(call, x, -Infinity, larger).out];
}

/** @param {Call} call @returns {Values[]} */
export function averagePool(call) {
  const [x] = call.given(1),
    { out, windows } = pooled(call, x, 0, (total, value) => total + value);
  const counts = elementsUnder(windows, call.int("count_include_pad") === 1);
  for (let place = 0; place < out.size; place++) out.data[place] /= counts[place % counts.length];
  return [out];
}

/**
 * @param {Windows} windows
 * @param {boolean} includePadding
 * @returns {Float64Array} how many elements each window has; what ceil_mode adds beyond the padding never counts
 */
function elementsUnder({ size, kernel, strides, dilations, before, after, out }, includePadding) {
  const byAxis = out.map((count, axis) => {
    const [low, high] = includePadding ? [-before[axis], size[axis] + after[axis]] : [0, size[axis]];
    return Array.from({ length: count }, (_, window) => {
      const begin = window * strides[axis] - before[axis];
      return Array.from({ length: kernel[axis] }, (_, tap) => begin + tap * dilations[axis]).filter(
        (at) => at >= low && at < high,
      ).length;
    });
  });
  return Float64Array.from(
    byAxis.reduce((products, counts) => products.flatMap((each) => counts.map((count) => each * count)), [1]),
  );
}

/** @param {Call} call @returns {Values[]} */
export function lpPool(call) {
  const [x] = call.given(1),
    p = call.float("p");
  const { out } = pooled(
    call,
    map(x, (value) => Math.abs(value) ** p),
    0,
    (total, value) => total + value,
  );
  return [map(out, (total) => total ** (1 / p))];
}

/** @param {Values} x */
const spatialAxes = (x) => x.shape.map((_, axis) => axis).slice(2);

/** @param {Call} call @returns {Values[]} N C *spatial to N C 1 ... */
export function globalAveragePool(call) {
  const [x] = call.given(1),
    total = reduce(x, spatialAxes(x), 0, (sum, value) => sum + value);
  return [map(total, (each) => each / (x.size / total.size))];
}

/** @param {Call} call @returns {Values[]} */
export function globalMaxPool(call) {
  const [x] = call.given(1);
  return [reduce(x, spatialAxes(x), -Infinity, larger)];
}

/** @param {Call} call @returns {Values[]} */
export function globalLpPool(call) {
  const [x] = call.given(1),
    p = call.float("p");
  return [
    map(
      reduce(x, spatialAxes(x), 0, (sum, value) => sum + Math.abs(value) ** p),
      (total) => total ** (1 / p),
    ),
  ];
}
