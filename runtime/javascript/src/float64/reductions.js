// Reductions over axes: ReduceMean, ReduceMax, ArgMax, CumSum, ...

import { Values, axisOf, larger, map, mean, reduce, smaller, sum, zeros } from "./values.js";
import { axesOf } from "./moving.js";

/** @typedef {import("./calls.js").Call} Call */
/** @typedef {(call: Call) => Values[]} Operator */

/** @param {(x: Values, axes: number[], keep: boolean) => Values} f @returns {Operator} */
const over = (f) => (call) => {
  const [x] = call.given(1),
    named = axesOf(call, 1),
    keep = call.int("keepdims") === 1;
  if (!named?.length && call.int("noop_with_empty_axes")) return [x];
  return [f(x, named?.length ? named : x.shape.map((_, axis) => axis), keep)];
};

/** @param {Values} x */
const squares = (x) => map(x, (value) => value * value);

export const reduceMean = over(mean);
export const reduceSum = over(sum);
export const reduceMax = over((x, axes, keep) => reduce(x, axes, -Infinity, larger, keep));
export const reduceMin = over((x, axes, keep) => reduce(x, axes, Infinity, smaller, keep));
export const reduceProd = over((x, axes, keep) => reduce(x, axes, 1, (total, value) => total * value, keep));
export const reduceL1 = over((x, axes, keep) => sum(map(x, Math.abs), axes, keep));
export const reduceL2 = over((x, axes, keep) => map(sum(squares(x), axes, keep), Math.sqrt));
export const reduceSumSquare = over((x, axes, keep) => sum(squares(x), axes, keep));
export const reduceLogSum = over((x, axes, keep) => map(sum(x, axes, keep), Math.log));

/** @param {(value: number, best: number) => boolean} better @returns {Operator} */
export const argument = (better) => (call) => {
  const [x] = call.given(1),
    axis = axisOf(call.int("axis"), x.rank),
    last = call.int("select_last_index") === 1;
  const kept = x.shape.map((size, each) => (each === axis ? 1 : size)),
    out = zeros(kept, "int64");
  const after = x.shape.slice(axis + 1).reduce((product, size) => product * size, 1),
    length = x.shape[axis];
  for (let at = 0; at < out.size; at++) {
    const begin = Math.floor(at / after) * length * after + (at % after);
    let best = 0;
    for (let place = 1; place < length; place++) {
      const value = x.data[begin + place * after],
        known = x.data[begin + best * after];
      if (better(value, known) || (last && value === known)) best = place;
    }
    out.data[at] = best;
  }
  return [call.int("keepdims") === 1 ? out : out.reshaped(x.shape.filter((_, each) => each !== axis))];
};

/** @param {Call} call @returns {Values[]} */
export function cumSum(call) {
  const [x, along] = call.given(2),
    axis = axisOf(along.data[0], x.rank),
    out = zeros(x.shape, x.kind);
  const after = x.shape.slice(axis + 1).reduce((product, size) => product * size, 1),
    length = x.shape[axis];
  const [exclusive, reverse] = [call.int("exclusive"), call.int("reverse")];
  for (let row = 0; row < x.size / Math.max(1, length); row++) {
    const begin = Math.floor(row / after) * length * after + (row % after);
    let total = 0;
    for (let step = 0; step < length; step++) {
      const at = begin + (reverse ? length - 1 - step : step) * after;
      if (exclusive) out.data[at] = total;
      total += x.data[at];
      if (!exclusive) out.data[at] = total;
    }
  }
  return [out];
}
