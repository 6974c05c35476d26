// Pillow's resize of 8-bit pictures, to the bit: antialiased, in whole numbers, in two passes.
//
// The algorithm is that of Pillow 13's libImaging/Resample.c and, for `nearest`, of the scaling in Geometry.c. Weights are
// computed in float64 and rounded to 22 bits behind the point; sums are rounded and clipped after each pass. Only the
// part that a crop needs is computed, which changes none of its pixels.

/**
 * @typedef {object} Region a part of the resized picture, in its pixels
 * @property {number} left
 * @property {number} top
 * @property {number} width
 * @property {number} height
 */

/** @typedef {import("./photo.js").Picture} Picture */
/** @typedef {keyof typeof FILTERS | "nearest"} Interpolation */

/** Behind the point, of a weight: what 32 bits leave beside 8 of a colour and 2 for sums that go beyond it. */
const PRECISION_BITS = 32 - 8 - 2;

/**
 * Pillow's filters: how far each reaches, in pixels of the coarser picture, and its weight at a distance.
 *
 * @type {Readonly<Record<"box" | "bilinear" | "hamming" | "bicubic" | "lanczos", [number, (x: number) => number]>>}
 */
export const FILTERS = Object.freeze({
  box: [0.5, (x) => (x > -0.5 && x <= 0.5 ? 1 : 0)],
  bilinear: [1, (x) => Math.max(0, 1 - Math.abs(x))],
  hamming: [1, hamming],
  bicubic: [2, bicubic],
  lanczos: [3, (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0)],
});

/**
 * @param {Picture} picture
 * @param {number} width of the resized picture, in pixels
 * @param {number} height
 * @param {Interpolation} interpolation
 * @param {Region} [region] the part that is computed; by default all of it
 * @returns {Picture} of the region's size
 */
export function resize(picture, width, height, interpolation, region = { left: 0, top: 0, width, height }) {
  if (width === picture.width && height === picture.height) return part(picture, region);
  if (interpolation === "nearest") {
    const columns = nearest(picture.width, width, region.left, region.width);
    return picked(picture, columns, nearest(picture.height, height, region.top, region.height));
  }
  const [support, filter] = FILTERS[interpolation];
  const across = weights(picture.width, width, support, filter, region.left, region.width);
  const down = weights(picture.height, height, support, filter, region.top, region.height);
  const needed = part(picture, {
    left: across.from,
    top: down.from,
    width: across.to - across.from,
    height: down.to - down.from,
  });
  // As Pillow does since version 13: where the height shrinks by more than twice what the width does.
  const tall = picture.height > height && picture.height - height > 2 * (picture.width - width);
  return tall ? resizedAcross(resizedDown(needed, down), across) : resizedDown(resizedAcross(needed, across), down);
}

/**
 * @typedef {object} Weights of the source's pixels, for each pixel of the result
 * @property {number} from the first source pixel that counts for any
 * @property {number} to the one after the last
 * @property {boolean} unchanged whether both sizes are equal: then there is no pass
 * @property {Int32Array} first the first source pixel that counts, from `from` on
 * @property {Int32Array} count how many do
 * @property {Int32Array} start where their weights are in `values`
 * @property {Int32Array} values with `PRECISION_BITS` behind the point
 */

/**
 * @param {number} size of the source, along one axis
 * @param {number} newSize
 * @param {number} support
 * @param {(x: number) => number} filter
 * @param {number} from the first pixel of the result for which weights are wanted
 * @param {number} number of them
 * @returns {Weights}
 */
function weights(size, newSize, support, filter, from, number) {
  const scale = size / newSize;
  const coarser = Math.max(scale, 1);
  const reach = support * coarser;
  const step = 1 / coarser;
  const most = Math.min(size, 2 * Math.ceil(reach) + 1);
  const unchanged = size === newSize;
  const [first, count, start] = [0, 1, 2].map(() => new Int32Array(number));
  const values = new Int32Array(unchanged ? 0 : number * most);
  const exact = new Float64Array(most);
  for (let place = 0; place < number; place++) {
    const centre = (place + from + 0.5) * scale;
    first[place] = unchanged ? from + place : Math.max(0, Math.trunc(centre - reach + 0.5));
    count[place] = unchanged ? 1 : Math.min(size, Math.trunc(centre + reach + 0.5)) - first[place];
    start[place] = place * most;
    if (unchanged) continue;
    let sum = 0;
    for (let tap = 0; tap < count[place]; tap++) {
      exact[tap] = filter((tap + first[place] - centre + 0.5) * step);
      sum += exact[tap];
    }
    for (let tap = 0; tap < count[place]; tap++) {
      const weight = (sum === 0 ? exact[tap] : exact[tap] / sum) * 2 ** PRECISION_BITS;
      values[start[place] + tap] = Math.trunc(weight < 0 ? weight - 0.5 : weight + 0.5);
    }
  }
  const [least, to] = [first[0], first[number - 1] + count[number - 1]];
  return { from: least, to, unchanged, first: first.map((each) => each - least), count, start, values };
}

/**
 * @param {Picture} picture whose first column is the source's column `from`
 * @param {Weights} across
 * @returns {Picture}
 */
function resizedAcross(picture, { unchanged, first, count, start, values }) {
  if (unchanged) return picture;
  const { width, height, channels, data } = picture;
  const newWidth = first.length;
  const result = new Uint8Array(newWidth * height * channels);
  const half = 1 << (PRECISION_BITS - 1);
  for (let y = 0, to = 0; y < height; y++) {
    const row = y * width * channels;
    for (let x = 0; x < newWidth; x++) {
      let at = row + first[x] * channels;
      const [weight, end] = [start[x], start[x] + count[x]];
      let [red, green, blue] = [half, half, half];
      if (channels === 3) {
        for (let tap = weight; tap < end; tap++, at += 3) {
          const value = values[tap];
          red = (red + Math.imul(data[at], value)) | 0;
          green = (green + Math.imul(data[at + 1], value)) | 0;
          blue = (blue + Math.imul(data[at + 2], value)) | 0;
        }
        result[to++] = clipped(red >> PRECISION_BITS);
        result[to++] = clipped(green >> PRECISION_BITS);
        result[to++] = clipped(blue >> PRECISION_BITS);
      } else {
        for (let tap = weight; tap < end; tap++, at++) red = (red + Math.imul(data[at], values[tap])) | 0;
        result[to++] = clipped(red >> PRECISION_BITS);
      }
    }
  }
  return { width: newWidth, height, channels, data: result };
}

/**
 * @param {Picture} picture whose first row is the source's row `from`
 * @param {Weights} down
 * @returns {Picture}
 */
function resizedDown(picture, { unchanged, first, count, start, values }) {
  if (unchanged) return picture;
  const { width, channels, data } = picture;
  const newHeight = first.length;
  const length = width * channels;
  const result = new Uint8Array(length * newHeight);
  const sums = new Int32Array(length);
  for (let y = 0; y < newHeight; y++) {
    sums.fill(1 << (PRECISION_BITS - 1));
    for (let tap = 0; tap < count[y]; tap++) {
      const weight = values[start[y] + tap];
      const row = (first[y] + tap) * length;
      for (let x = 0; x < length; x++) sums[x] += Math.imul(data[row + x], weight);
    }
    for (let x = 0; x < length; x++) result[y * length + x] = clipped(sums[x] >> PRECISION_BITS);
  }
  return { width, height: newHeight, channels, data: result };
}

/**
 * The source pixel for each pixel of the result, -1 beyond the source. Pillow adds up the step, whose rounding decides
 * between two pixels.
 *
 * @param {number} size
 * @param {number} newSize
 * @param {number} from
 * @param {number} number
 * @returns {Int32Array}
 */
function nearest(size, newSize, from, number) {
  const step = size / newSize;
  const places = new Int32Array(number);
  let at = step * 0.5;
  for (let place = 0; place < from + number; place++, at += step) {
    if (place >= from) places[place - from] = at < size ? Math.trunc(at) : -1;
  }
  return places;
}

/**
 * @param {Picture} picture
 * @param {Int32Array} columns
 * @param {Int32Array} rows
 * @returns {Picture}
 */
function picked({ width, channels, data }, columns, rows) {
  const result = new Uint8Array(columns.length * rows.length * channels);
  let to = 0;
  for (const row of rows) {
    for (const column of columns) {
      const from = (row * width + column) * channels;
      for (let channel = 0; channel < channels; channel++, to++) {
        if (row >= 0 && column >= 0) result[to] = data[from + channel];
      }
    }
  }
  return { width: columns.length, height: rows.length, channels, data: result };
}

/**
 * @param {Picture} picture
 * @param {Region} region
 * @returns {Picture} a part of the picture; all of it is not copied
 */
function part(picture, { left, top, width, height }) {
  if (width === picture.width && height === picture.height) return picture;
  const { channels, data } = picture;
  const result = new Uint8Array(width * height * channels);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * picture.width + left) * channels;
    result.set(data.subarray(from, from + width * channels), y * width * channels);
  }
  return { width, height, channels, data: result };
}

/**
 * @param {number} value
 * @returns {number}
 */
function clipped(value) {
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

/**
 * @param {number} x
 * @returns {number}
 */
function sinc(x) {
  const angle = x * Math.PI;
  return x === 0 ? 1 : Math.sin(angle) / angle;
}

/**
 * @param {number} x
 * @returns {number}
 */
function hamming(x) {
  const distance = Math.abs(x);
  const angle = distance * Math.PI;
  if (distance === 0) return 1;
  // The two constants are float32 in Pillow.
  const window = Math.fround(0.54) + Math.fround(0.46) * Math.cos(angle);
  return distance < 1 ? (Math.sin(angle) / angle) * window : 0;
}

/**
 * @param {number} x
 * @returns {number} Keys' cubic with a = -0.5
 */
function bicubic(x) {
  const a = -0.5;
  const distance = Math.abs(x);
  if (distance < 1) return ((a + 2) * distance - (a + 3)) * distance * distance + 1;
  return distance < 2 ? (((distance - 5) * distance + 8) * distance - 4) * a : 0;
}
