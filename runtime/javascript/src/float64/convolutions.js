// Conv and ConvTranspose, as matrix products whose right side is gathered from a padded image.

import { TILE } from "./product_kernel.js";
import { product, vectors } from "./products.js";
import { NotComputed, Values, sizeOf, stridesOf, zeros } from "./values.js";
import { padded, positions, windowsOf } from "./windows.js";

/** @typedef {import("./calls.js").Call} Call */

/** @param {Call} call N C *spatial, with weights O C/group *kernel @returns {Values[]} */
export function conv(call) {
  const [x, w] = call.given(2),
    b = call.inputs[2],
    group = call.int("group");
  check(call, x, w, w.shape[1] * group, group);
  const windows = windowsOf(call, x.shape.slice(2), w.shape.slice(2)),
    { data, shape } = padded(x, windows, 0);
  const outputs = w.shape[0],
    pixels = sizeOf(windows.out),
    out = zeros([x.shape[0], outputs, ...windows.out]);
  const spatial = shape.slice(2),
    places = positions(windows.out, windows.strides, spatial);
  const taps = positions(windows.kernel, windows.dilations, spatial),
    channel = sizeOf(spatial);
  const inside = w.shape[1],
    each = outputs / group;
  for (let image = 0; image < x.shape[0]; image++) {
    for (let number = 0; number < group; number++) {
      const from = (image * group + number) * inside * channel,
        at = (image * outputs + number * each) * pixels;
      const weights = { data: w.data, begin: number * each * inside * taps.length };
      if (inside === 1 && each < TILE) byChannel(data, from, weights, each, places, taps, out.data, at);
      else {
        const depth = inside * taps.length,
          rows = vectors(w.data, weights.begin, depth, 1, depth);
        product(each, pixels, depth, rows, gathering(data, from, places, taps, inside, channel), out.data, at);
      }
    }
  }
  return [withBias(out, b)];
}

/**
 * @param {Call} call
 * @param {Values} x
 * @param {Values} w
 * @param {number} channels that the weights take
 * @param {number} group
 */
function check(call, x, w, channels, group) {
  if (x.rank !== w.rank || x.rank < 3 || x.shape[1] !== channels || !(group >= 1) || w.shape[0] % group) {
    throw new NotComputed(
      `weights of ${w.shape.join(" x ")} in ${group} groups don't fit a tensor of ${x.shape.join(" x ")}`,
    );
  }
  const kernel = call.ints("kernel_shape");
  if (kernel && kernel.join() !== w.shape.slice(2).join()) {
    throw new NotComputed(`kernel_shape ${kernel.join(" x ")} is not that of the weights`);
  }
}

/**
 * Return what packs the elements under windows: a column for each window.
 *
 * @param {Float64Array | Float32Array} data
 * @param {number} from where the first channel begins
 * @param {Int32Array} places of the windows in a channel
 * @param {Int32Array} taps of the kernel
 * @param {number} inside how many channels
 * @param {number} channel its elements
 */
function gathering(data, from, places, taps, inside, channel) {
  /** @param {Float64Array} to @param {number} at @param {number} first @param {number} count */
  return (to, at, first, count) => {
    for (let begin = 0; begin < count; begin += TILE) {
      const last = first + count - 1,
        panel = first + begin;
      // What a window lacks to a whole tile is computed and left away.
      const [one, two] = [places[panel], places[Math.min(panel + 1, last)]];
      const [three, four] = [places[Math.min(panel + 2, last)], places[Math.min(panel + 3, last)]];
      for (let number = 0, base = from; number < inside; number++, base += channel) {
        for (let tap = 0; tap < taps.length; tap++, at += TILE) {
          const place = base + taps[tap];
          to[at] = data[place + one];
          to[at + 1] = data[place + two];
          to[at + 2] = data[place + three];
          to[at + 3] = data[place + four];
        }
      }
    }
  };
}

/**
 * Convolve one channel (depthwise): a matrix product would have hardly any rows.
 *
 * @param {Float64Array | Float32Array} data
 * @param {number} from
 * @param {{ data: Float64Array | Float32Array, begin: number }} weights
 * @param {number} multiple results of this channel
 * @param {Int32Array} places
 * @param {Int32Array} taps
 * @param {Float64Array | Float32Array} out
 * @param {number} at
 */
function byChannel(data, from, weights, multiple, places, taps, out, at) {
  for (let each = 0; each < multiple; each++, at += places.length) {
    for (let tap = 0; tap < taps.length; tap++) {
      const weight = weights.data[weights.begin + each * taps.length + tap],
        base = from + taps[tap];
      for (let pixel = 0; pixel < places.length; pixel++) out[at + pixel] += weight * data[base + places[pixel]];
    }
  }
}

/** @param {Values} out N O *spatial, which is written to @param {Values | null | undefined} b O */
function withBias(out, b) {
  if (!b) return out;
  const outputs = out.shape[1],
    pixels = sizeOf(out.shape.slice(2));
  for (let channel = 0; channel < out.shape[0] * outputs; channel++) {
    const bias = b.data[channel % outputs];
    for (let place = channel * pixels; place < (channel + 1) * pixels; place++) out.data[place] += bias;
  }
  return out;
}

/** @param {Call} call N C *spatial, with weights C O/group *kernel @returns {Values[]} */
export function convTranspose(call) {
  const [x, w] = call.given(2),
    b = call.inputs[2],
    group = call.int("group");
  check(call, x, w, w.shape[0], group);
  const size = x.shape.slice(2),
    { strides, dilations, begins, ends, whole } = transposedPlaces(call, size, w.shape.slice(2));
  const outputs = group * w.shape[1],
    kernel = w.shape.slice(2),
    pixels = sizeOf(size),
    channel = sizeOf(whole);
  const places = positions(size, strides, whole),
    taps = positions(kernel, dilations, whole);
  const full = zeros([x.shape[0], outputs, ...whole]),
    depth = x.shape[1] / group,
    rows = w.shape[1] * taps.length;
  const columns = new Float64Array(rows * pixels);
  for (let image = 0; image < x.shape[0]; image++) {
    for (let number = 0; number < group; number++) {
      const weights = vectors(w.data, number * depth * rows, 1, rows, depth);
      const right = vectors(x.data, (image * x.shape[1] + number * depth) * pixels, 1, pixels, depth);
      product(rows, pixels, depth, weights, right, columns, 0);
      for (let row = 0; row < rows; row++) {
        const output = number * w.shape[1] + Math.floor(row / taps.length);
        const base = (image * outputs + output) * channel + taps[row % taps.length];
        for (let pixel = 0; pixel < pixels; pixel++) full.data[base + places[pixel]] += columns[row * pixels + pixel];
      }
    }
  }
  return [withBias(cropped(full, begins, ends), b)];
}

/** @param {Call} call @param {number[]} size @param {number[]} kernel */
function transposedPlaces(call, size, kernel) {
  const axes = size.length,
    ones = new Array(axes).fill(1),
    automatic = call.text("auto_pad") || "NOTSET";
  const strides = call.ints("strides") ?? ones,
    dilations = call.ints("dilations") ?? ones;
  const extra = call.ints("output_padding") ?? new Array(axes).fill(0);
  if (!["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"].includes(automatic))
    throw new NotComputed(`auto_pad=${automatic} is not known`);
  // The size that all taps reach, before the padding is cut off.
  const sizes = size.map((length, i) => (length - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 + extra[i]);
  let wanted = call.ints("output_shape")?.slice(-axes);
  if (!wanted && automatic.startsWith("SAME")) wanted = size.map((length, i) => length * strides[i]);
  const pads = automatic === "VALID" ? undefined : call.ints("pads");
  let begins = new Array(axes).fill(0),
    ends = sizes;
  if (wanted) {
    const sought = wanted,
      totals = sizes.map((length, i) => Math.max(0, length - sought[i]));
    begins = totals.map((total) =>
      automatic === "SAME_UPPER" ? Math.floor(total / 2) : total - Math.floor(total / 2),
    );
    ends = begins.map((begin, i) => begin + sought[i]);
  } else if (pads) {
    begins = pads.slice(0, axes);
    ends = sizes.map((length, i) => length - pads[axes + i]);
  }
  // An output_shape can be larger than what the taps reach.
  return { strides, dilations, begins, ends, whole: sizes.map((length, i) => Math.max(length, ends[i])) };
}

/** @param {Values} full N O *whole @param {number[]} begins @param {number[]} ends @returns {Values} */
function cropped(full, begins, ends) {
  const spatial = begins.map((begin, axis) => ends[axis] - begin),
    shape = [...full.shape.slice(0, 2), ...spatial];
  if (shape.every((size, axis) => size === full.shape[axis])) return full;
  const out = zeros(shape),
    strides = stridesOf(full.shape.slice(2)),
    inner = sizeOf(full.shape.slice(2));
  const places = positions(
    spatial,
    spatial.map(() => 1),
    full.shape.slice(2),
  );
  const begin = begins.reduce((total, each, axis) => total + each * strides[axis], 0);
  for (let channel = 0; channel < shape[0] * shape[1]; channel++) {
    for (let pixel = 0; pixel < places.length; pixel++) {
      out.data[channel * places.length + pixel] = full.data[channel * inner + begin + places[pixel]];
    }
  }
  return out;
}
