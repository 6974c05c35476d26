// Where the windows of a convolution or a pool are in a tensor, by the attributes of an ONNX node.

import { NotComputed, Values, sizeOf, stridesOf, zeros } from "./values.js";

/** @typedef {import("./calls.js").Call} Call */

/**
 * @typedef {object} Windows every list has one number per spatial axis
 * @property {number[]} size of the tensor
 * @property {number[]} kernel
 * @property {number[]} strides
 * @property {number[]} dilations
 * @property {number[]} before the padding that is asked for; with `ceil_mode`, the last window may reach beyond it
 * @property {number[]} after
 * @property {number[]} out how many windows there are
 */

/**
 * @param {Call} call of a node with `strides`, `pads`, `auto_pad`, ...
 * @param {readonly number[]} size of the spatial axes
 * @param {readonly number[]} kernel
 * @returns {Windows}
 * @throws {NotComputed} they contradict one another, or no window fits
 */
export function windowsOf(call, size, kernel) {
  const axes = size.length,
    ones = new Array(axes).fill(1),
    none = new Array(2 * axes).fill(0);
  const strides = call.ints("strides") ?? ones,
    dilations = call.ints("dilations") ?? ones,
    pads = call.ints("pads") ?? none;
  if (kernel.length !== axes || strides.length !== axes || dilations.length !== axes || pads.length !== 2 * axes) {
    throw new NotComputed(
      `a kernel of ${kernel.join(" x ")} and its attributes don't fit a tensor of ${axes} spatial axes`,
    );
  }
  const spans = kernel.map((width, axis) => (width - 1) * dilations[axis] + 1);
  let before = pads.slice(0, axes),
    after = pads.slice(axes),
    out = ones.slice();
  const automatic = call.text("auto_pad") || "NOTSET";
  if (automatic === "SAME_UPPER" || automatic === "SAME_LOWER") {
    out = size.map((length, axis) => Math.ceil(length / strides[axis]));
    const totals = size.map((length, axis) => Math.max(0, (out[axis] - 1) * strides[axis] + spans[axis] - length));
    const less = totals.map((total) => Math.floor(total / 2)),
      more = totals.map((total) => Math.ceil(total / 2));
    [before, after] = automatic === "SAME_LOWER" ? [more, less] : [less, more];
  } else if (automatic === "VALID" || automatic === "NOTSET") {
    if (automatic === "VALID") before = after = new Array(axes).fill(0);
    const ceil = automatic === "NOTSET" && call.int("ceil_mode") === 1;
    out = size.map((length, axis) => {
      const room = length + before[axis] + after[axis] - spans[axis];
      const count = (ceil ? Math.ceil(room / strides[axis]) : Math.floor(room / strides[axis])) + 1;
      // A window that would begin in the padding after the tensor is left out, as PyTorch does.
      return ceil && (count - 1) * strides[axis] >= length + before[axis] ? count - 1 : count;
    });
  } else {
    throw new NotComputed(`auto_pad=${automatic} is not known`);
  }
  if (out.some((count) => count < 1))
    throw new NotComputed(`a kernel of ${kernel.join(" x ")} does not fit into ${size.join(" x ")}`);
  return { size: [...size], kernel: [...kernel], strides, dilations, before, after, out };
}

/**
 * @param {Values} x N C *size
 * @param {Windows} windows
 * @param {number} fill
 * @returns {Values} padded to every place that a window reaches; `x` itself if it needs no padding
 */
export function padded(x, windows, fill) {
  const { size, kernel, strides, dilations, before, out } = windows;
  const reach = out.map((count, axis) => (count - 1) * strides[axis] + (kernel[axis] - 1) * dilations[axis] + 1);
  const whole = size.map((length, axis) => Math.max(before[axis] + length, reach[axis]));
  if (whole.every((length, axis) => length === size[axis] && !before[axis])) return x;
  const wide = zeros([...x.shape.slice(0, 2), ...whole], x.kind),
    { data } = wide;
  if (fill) data.fill(fill);
  const steps = stridesOf(whole),
    channels = x.shape[0] * x.shape[1],
    inner = sizeOf(whole),
    length = size[size.length - 1];
  const rows = sizeOf(size) / Math.max(1, length),
    begin = before.reduce((total, pad, axis) => total + pad * steps[axis], 0);
  const index = new Array(size.length).fill(0);
  for (let row = 0; row < rows; row++) {
    const to = begin + index.reduce((total, place, axis) => total + place * steps[axis], 0);
    for (let channel = 0; channel < channels; channel++) {
      const from = (channel * rows + row) * length;
      data.set(x.data.subarray(from, from + length), channel * inner + to);
    }
    for (let axis = size.length - 2; axis >= 0 && ++index[axis] === size[axis]; axis--) index[axis] = 0;
  }
  return wide;
}

/**
 * @param {readonly number[]} counts
 * @param {readonly number[]} steps
 * @param {readonly number[]} shape of the padded spatial axes
 * @returns {Int32Array} where each of so many positions is in one padded channel, row by row
 */
export function positions(counts, steps, shape) {
  const strides = stridesOf(shape),
    found = new Int32Array(sizeOf(counts)),
    index = new Array(counts.length).fill(0);
  for (let each = 0; each < found.length; each++) {
    found[each] = index.reduce((total, place, axis) => total + place * steps[axis] * strides[axis], 0);
    for (let axis = counts.length - 1; axis >= 0 && ++index[axis] === counts[axis]; axis--) index[axis] = 0;
  }
  return found;
}
