// Operators that move elements, or copy them: Reshape, Transpose, Slice, Gather, Pad, Concat, ...

import {
  NotComputed,
  Values,
  axisOf,
  broadcastShape,
  broadcastTo,
  copyStrided,
  refuseTooMany,
  sizeOf,
  stridesOf,
  transpose,
  zeros,
} from "./values.js";

/** @typedef {import("./calls.js").Call} Call */

/** @param {Call} call @returns {Values[]} */
export function identity(call) {
  if (call.node.outputs.length > 1) throw new NotComputed("a mask is no result here");
  return [call.given(1)[0]];
}

/** @param {Call} call @returns {Values[]} what it drops in training is another each time */
export function dropout(call) {
  if (call.inputs[2]?.data[0] && call.inputs[1]?.data[0] !== 0)
    throw new NotComputed("in training it draws new random numbers each time");
  return identity(call);
}

/** @param {Call} call @returns {Values[]} */
export function reshape(call) {
  const [x, sizes] = call.given(2);
  const wanted = sizes.list().map((size, axis) => (size === 0 && !call.int("allowzero") ? (x.shape[axis] ?? 0) : size));
  const known = wanted.filter((size) => size !== -1).reduce((product, size) => product * size, 1);
  return [x.reshaped(wanted.map((size) => (size === -1 ? x.size / Math.max(1, known) : size)))];
}

/** @param {Call} call @returns {Values[]} */
export function flatten(call) {
  const [x] = call.given(1),
    axis = call.int("axis"),
    first = axis < 0 ? axis + x.rank : axis;
  return [x.reshaped([sizeOf(x.shape.slice(0, first)), sizeOf(x.shape.slice(first))])];
}

/** @param {Call} call @returns {Values[]} */
export function transposed(call) {
  const [x] = call.given(1),
    order = call.ints("perm") ?? x.shape.map((_, axis) => x.rank - 1 - axis);
  if (order.length !== x.rank || new Set(order.map((axis) => axisOf(axis, x.rank))).size < x.rank)
    throw new NotComputed(`perm ${order.join(" ")} doesn't fit`);
  return [transpose(x, order)];
}

/**
 * @param {Call} call
 * @param {number} place of the input that axes are since opset 13
 * @returns {number[] | undefined}
 */
export const axesOf = (call, place) => call.numbers(place) ?? call.ints("axes");

/** @param {Call} call @returns {Values[]} */
export function squeeze(call) {
  const [x] = call.given(1),
    axes = axesOf(call, 1)?.map((axis) => axisOf(axis, x.rank));
  return [x.reshaped(x.shape.filter((size, axis) => (axes ? !axes.includes(axis) : size !== 1)))];
}

/** @param {Call} call @returns {Values[]} */
export function unsqueeze(call) {
  const [x] = call.given(1),
    axes = axesOf(call, 1) ?? [],
    rank = x.rank + axes.length,
    added = axes.map((axis) => axisOf(axis, rank));
  const rest = x.shape.slice();
  return [x.reshaped(Array.from({ length: rank }, (_, axis) => (added.includes(axis) ? 1 : Number(rest.shift()))))];
}

/** @param {Call} call @returns {Values[]} */
export function concat(call) {
  const given = call.given(call.inputs.length),
    axis = axisOf(call.int("axis"), given[0].rank);
  const whole = given[0].shape.slice();
  whole[axis] = given.reduce((total, each) => total + each.shape[axis], 0);
  for (const { shape } of given) {
    if (shape.length !== whole.length || shape.some((size, at) => at !== axis && size !== whole[at]))
      throw new NotComputed("what is joined differs in other axes");
  }
  const out = zeros(whole, given[0].kind),
    before = sizeOf(whole.slice(0, axis)),
    row = sizeOf(whole.slice(axis));
  let begin = 0;
  for (const each of given) {
    const length = sizeOf(each.shape.slice(axis));
    for (let outer = 0; outer < before; outer++)
      out.data.set(each.data.subarray(outer * length, (outer + 1) * length), outer * row + begin);
    begin += length;
  }
  return [out];
}

/**
 * @param {Values} x
 * @param {readonly number[]} begins
 * @param {readonly number[]} steps
 * @param {readonly number[]} counts
 * @returns {Values}
 */
function sliced(x, begins, steps, counts) {
  const strides = stridesOf(x.shape),
    out = zeros(counts, x.kind);
  const begin = begins.reduce((total, each, axis) => total + each * strides[axis], 0);
  copyStrided(
    out.data,
    counts,
    x.data,
    begin,
    strides.map((stride, axis) => stride * steps[axis]),
  );
  return out;
}

/** @param {Call} call @returns {Values[]} */
export function slice(call) {
  const [x] = call.given(1),
    starts = call.numbers(1) ?? call.ints("starts") ?? [],
    ends = call.numbers(2) ?? call.ints("ends") ?? [];
  const axes = call.numbers(3) ?? call.ints("axes") ?? starts.map((_, axis) => axis),
    given = call.numbers(4) ?? starts.map(() => 1);
  const begins = x.shape.map(() => 0),
    steps = x.shape.map(() => 1),
    counts = x.shape.slice();
  axes.forEach((each, number) => {
    const axis = axisOf(each, x.rank),
      size = x.shape[axis],
      step = given[number];
    const [low, high] = step > 0 ? [0, size] : [-1, size - 1];
    const [begin, end] = [starts[number], ends[number]].map((at) =>
      Math.min(high, Math.max(low, at < 0 ? at + size : at)),
    );
    begins[axis] = begin;
    steps[axis] = step;
    counts[axis] = Math.max(0, Math.ceil((end - begin) / step));
  });
  return [sliced(x, begins, steps, counts)];
}

/** @param {Call} call @returns {Values[]} */
export function split(call) {
  const [x] = call.given(1),
    axis = axisOf(call.int("axis"), x.rank),
    parts = call.node.outputs.length,
    size = x.shape[axis];
  const equal = Math.ceil(size / parts),
    sizes =
      call.numbers(1) ??
      call.ints("split") ??
      Array.from({ length: parts }, (_, part) => Math.min(equal, size - part * equal));
  let begin = 0;
  return sizes.map((length) => {
    const begins = x.shape.map((_, each) => (each === axis ? begin : 0));
    begin += length;
    return sliced(
      x,
      begins,
      x.shape.map(() => 1),
      x.shape.map((other, each) => (each === axis ? length : other)),
    );
  });
}

/** @param {Call} call @returns {Values[]} */
export function gather(call) {
  const [x, indices] = call.given(2),
    axis = axisOf(call.int("axis"), x.rank),
    size = x.shape[axis];
  const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)],
    out = zeros(shape, x.kind);
  const before = sizeOf(x.shape.slice(0, axis)),
    after = sizeOf(x.shape.slice(axis + 1));
  const places = Array.from(indices.data, (index) => index + (index < 0 ? size : 0));
  if (places.some((place) => !(place >= 0 && place < size))) throw new NotComputed("an index is out of bounds");
  for (let outer = 0, at = 0; outer < before; outer++) {
    for (const place of places) {
      const from = (outer * size + place) * after;
      out.data.set(x.data.subarray(from, from + after), at);
      at += after;
    }
  }
  return [out];
}

/** @param {Call} call @returns {Values[]} */
export function gatherElements(call) {
  const [x, indices] = call.given(2),
    axis = axisOf(call.int("axis"), x.rank),
    strides = stridesOf(x.shape);
  const out = zeros(indices.shape, x.kind),
    index = indices.shape.map(() => 0);
  for (let at = 0; at < out.size; at++) {
    const place = indices.data[at] + (indices.data[at] < 0 ? x.shape[axis] : 0);
    out.data[at] =
      x.data[index.reduce((total, each, other) => total + (other === axis ? place : each) * strides[other], 0)];
    for (let other = index.length - 1; other >= 0 && ++index[other] === indices.shape[other]; other--) index[other] = 0;
  }
  return [out];
}

/** @param {Call} call @returns {Values[]} */
export function expand(call) {
  const [x, sizes] = call.given(2);
  return [broadcastTo(x, broadcastShape(x.shape, sizes.list()))];
}

/** @param {Call} call @returns {Values[]} */
export function tile(call) {
  const [x, repeats] = call.given(2),
    times = repeats.list();
  if (times.length !== x.rank) throw new NotComputed("its repeats are not one for each axis");
  // Each axis as how often, and itself.
  const wide = x.shape.flatMap((size) => [1, size]),
    whole = x.shape.flatMap((size, axis) => [times[axis], size]);
  return [broadcastTo(x.reshaped(wide), whole).reshaped(x.shape.map((size, axis) => size * times[axis]))];
}

/** @type {Record<string, (place: number, size: number) => number>} which element stands for a place outside */
const OUTSIDE = {
  edge: (place, size) => Math.min(size - 1, Math.max(0, place)),
  wrap: (place, size) => ((place % size) + size) % size,
  reflect: (place, size) => {
    const period = Math.max(1, 2 * (size - 1)),
      inside = ((place % period) + period) % period;
    return Math.min(inside, period - inside);
  },
};

/** @param {Call} call @returns {Values[]} negative pads crop */
export function pad(call) {
  const [x] = call.given(1),
    older = call.opset < 11,
    mode = call.text("mode") || "constant";
  const pads = (older ? call.ints("pads") : call.numbers(1)) ?? [],
    axes = call.numbers(3)?.map((axis) => axisOf(axis, x.rank)) ?? x.shape.map((_, axis) => axis);
  const value = older ? call.float("value") : (call.inputs[2]?.data[0] ?? 0),
    outside = OUTSIDE[mode];
  if (pads.length !== 2 * axes.length || (mode !== "constant" && !outside))
    throw new NotComputed(`pads ${pads.join(" ")} with mode=${mode} don't fit`);
  let out = x;
  axes.forEach((axis, number) => {
    const [before, after] = [pads[number], pads[number + axes.length]],
      size = out.shape[axis];
    if (!before && !after) return;
    refuseTooMany([size + before + after]);
    // What is cropped is not there to be reflected.
    const [low, high] = [Math.max(0, -before), size - Math.max(0, -after)];
    const sources = Array.from({ length: Math.max(0, size + before + after) }, (_, place) => {
      const from = place - before;
      return from >= low && from < high ? from : outside ? low + outside(from - low, high - low) : -1;
    });
    out = taken(out, axis, sources, value);
  });
  return [out];
}

/**
 * @param {Values} x
 * @param {number} axis
 * @param {readonly number[]} sources -1 for the value
 * @param {number} value
 * @returns {Values}
 */
function taken(x, axis, sources, value) {
  const shape = x.shape.map((size, each) => (each === axis ? sources.length : size)),
    out = zeros(shape, x.kind);
  const before = sizeOf(x.shape.slice(0, axis)),
    after = sizeOf(x.shape.slice(axis + 1)),
    size = x.shape[axis];
  for (let outer = 0, at = 0; outer < before; outer++) {
    for (const source of sources) {
      if (source < 0) out.data.fill(value, at, at + after);
      else out.data.set(x.data.subarray((outer * size + source) * after, (outer * size + source + 1) * after), at);
      at += after;
    }
  }
  return out;
}

/** @param {Call} call @returns {Values[]} N C H W, channels in squares of pixels */
export function depthToSpace(call) {
  const [x] = call.given(1),
    b = call.int("blocksize"),
    [n, c, h, w] = x.shape,
    inside = c / (b * b);
  const crd = call.text("mode") === "CRD";
  const parts = crd ? [n, inside, b, b, h, w] : [n, b, b, inside, h, w],
    order = crd ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
  return [transpose(x.reshaped(parts), order).reshaped([n, inside, h * b, w * b])];
}

/** @param {Call} call @returns {Values[]} */
export function spaceToDepth(call) {
  const [x] = call.given(1),
    b = call.int("blocksize"),
    [n, c, h, w] = x.shape;
  return [transpose(x.reshaped([n, c, h / b, b, w / b, b]), [0, 3, 5, 1, 2, 4]).reshaped([n, c * b * b, h / b, w / b])];
}

/** @param {Call} call @returns {Values[]} */
export function trilu(call) {
  const [x] = call.given(1),
    k = call.inputs[1]?.data[0] ?? 0,
    upper = call.attribute("upper") !== 0,
    out = zeros(x.shape, x.kind);
  const [rows, columns] = x.shape.slice(-2);
  for (let at = 0; at < x.size; at++) {
    const row = Math.floor(at / columns) % rows,
      past = (at % columns) - row - k;
    if (upper ? past >= 0 : past <= 0) out.data[at] = x.data[at];
  }
  return [out];
}

/** @param {Call} call @returns {Values[]} */
export function scatterND(call) {
  const [x, indices, updates] = call.given(3),
    depth = indices.shape[indices.rank - 1],
    strides = stridesOf(x.shape);
  if ((call.text("reduction") || "none") !== "none") throw new NotComputed("ScatterND with a reduction");
  const length = sizeOf(x.shape.slice(depth)),
    out = new Values(x.shape, Float64Array.from(x.data), x.kind);
  for (let row = 0; row < indices.size / depth; row++) {
    let at = 0;
    for (let axis = 0; axis < depth; axis++) {
      const index = indices.data[row * depth + axis],
        size = x.shape[axis];
      if (!(index >= -size && index < size)) throw new NotComputed("an index is out of bounds");
      at += (index < 0 ? index + size : index) * strides[axis];
    }
    out.data.set(updates.data.subarray(row * length, (row + 1) * length), at);
  }
  return [out];
}
