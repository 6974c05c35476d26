// Decoded pixels as a photo viewer shows them: upright, in colour, without transparency, 8 bits per channel.
//
// Equal to runtime/runs/image_reading.py for the same decoded pixels; the formulas are Pillow's. Decoding a file is the
// user's choice (a browser, sharp); which way up a file is to be shown is read in orientation.js.

import { ImageError } from "./errors.js";

/**
 * Decoded pixels, row by row from the top, the channels of a pixel side by side: an `ImageData`, or what sharp's `raw()`
 * gives.
 *
 * @typedef {object} Pixels
 * @property {number} width
 * @property {number} height
 * @property {Uint8Array | Uint8ClampedArray | Uint16Array} data 16 bits per channel in a `Uint16Array`
 * @property {number} [channels] 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha; if absent, by the length of `data`.
 *   Alpha is not premultiplied
 * @property {string} [space] `"cmyk"` if the four channels are inks, of which 255 is all
 * @property {number} [orientation] EXIF's, 1 to 8: how the picture has to be turned; if absent, it is upright
 */

/**
 * An upright picture of 8 bits: RGB, or grey.
 *
 * @typedef {object} Picture
 * @property {number} width
 * @property {number} height
 * @property {1 | 3} channels
 * @property {Uint8Array} data H W C
 */

/** Pillow's limit, beyond which a picture is taken for a decompression bomb. */
export const MOST_PIXELS = 89_478_485;

/**
 * @param {Pixels} pixels
 * @returns {Picture} RGB: alpha on white, 16 bits scaled to 8. Pixels that are so already are not copied
 * @throws {ImageError} the data don't fit width, height and channels, or there are too many pixels
 */
export function toRgb(pixels) {
  const { width, height, data } = pixels;
  if (!Number.isSafeInteger(width) || !Number.isSafeInteger(height) || width < 1 || height < 1) {
    throw new ImageError(`A photo of ${width} x ${height} pixels has none. Give decoded pixels with width and height.`);
  }
  refuseTooLarge(width, height, "The photo");
  const bytes = data instanceof Uint8Array || data instanceof Uint8ClampedArray;
  if (!bytes && !(data instanceof Uint16Array)) {
    throw new ImageError("Pixels are a Uint8Array, a Uint8ClampedArray or, of 16 bits per channel, a Uint16Array.");
  }
  const channels = pixels.channels ?? data.length / (width * height);
  if (![1, 2, 3, 4].includes(channels) || data.length !== width * height * channels) {
    throw new ImageError(
      `${width} x ${height} pixels were given ${data.length} values, which is ${channels} channels.\n` +
        "Give 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGB, alpha; or CMYK) values for each pixel.",
    );
  }
  const eight = bytes ? new Uint8Array(data.buffer, data.byteOffset, data.length) : toEightBits(data, channels);
  const rgb = pixels.space === "cmyk" && channels === 4 ? fromInks(eight) : IN_COLOUR[channels](eight);
  return upright({ width, height, channels: 3, data: rgb }, pixels.orientation ?? 1);
}

/**
 * @param {Picture} picture
 * @returns {Picture} one channel: ITU-R 601-2 luma in 16 bits, as Pillow computes it
 */
export function toGrey(picture) {
  if (picture.channels === 1) return picture;
  const { width, height, data } = picture;
  const grey = new Uint8Array(width * height);
  for (let pixel = 0, at = 0; pixel < grey.length; pixel++, at += 3) {
    grey[pixel] = (data[at] * 19595 + data[at + 1] * 38470 + data[at + 2] * 7471 + 0x8000) >> 16;
  }
  return { width, height, channels: 1, data: grey };
}

/**
 * @param {number} width
 * @param {number} height
 * @param {string} what for the message
 * @throws {ImageError} it has more pixels than Pillow's decompression bomb limit
 */
export function refuseTooLarge(width, height, what) {
  if (width * height > MOST_PIXELS) {
    const count = (width * height).toLocaleString("en-US");
    throw new ImageError(
      `${what} would be ${width} x ${height} = ${count} pixels; the limit is ${MOST_PIXELS.toLocaleString("en-US")}.\n` +
        "Crop the image closer to a square, or use a smaller size.",
    );
  }
}

/**
 * Grey is scaled from 0..65535 to 0..255, rounded; of more channels the higher byte is taken, as Pillow's decoder does.
 *
 * @param {Uint16Array} data
 * @param {number} channels
 * @returns {Uint8Array}
 */
function toEightBits(data, channels) {
  const eight = new Uint8Array(data.length);
  for (let at = 0; at < data.length; at++) {
    eight[at] = channels === 1 ? Math.floor((data[at] + 128) / 257) : data[at] >> 8;
  }
  return eight;
}

/** By the number of channels, what makes RGB of them. @type {Record<number, (data: Uint8Array) => Uint8Array>} */
const IN_COLOUR = {
  1: (data) => repeated(data),
  2: (data) => repeated(onWhite(data, 1)),
  3: (data) => data,
  4: (data) => onWhite(data, 3),
};

/**
 * @param {Uint8Array} grey
 * @returns {Uint8Array}
 */
function repeated(grey) {
  const rgb = new Uint8Array(3 * grey.length);
  for (let pixel = 0, at = 0; pixel < grey.length; pixel++, at += 3) rgb[at] = rgb[at + 1] = rgb[at + 2] = grey[pixel];
  return rgb;
}

/**
 * @param {Uint8Array} data colours, each followed by alpha
 * @param {number} colours 1 or 3
 * @returns {Uint8Array} without alpha, on white: Pillow's `alpha_composite`, whose fractions have seven bits
 */
function onWhite(data, colours) {
  const opaque = new Uint8Array((data.length / (colours + 1)) * colours);
  for (let from = 0, to = 0; to < opaque.length; from++) {
    const alpha = data[from + colours];
    const [share, white] = [alpha << 7, (255 * (255 - alpha)) << 7];
    for (let colour = 0; colour < colours; colour++, from++, to++) {
      const sum = data[from] * share + white + (0x80 << 7);
      // Of most photos, all pixels are opaque.
      opaque[to] = alpha === 255 ? data[from] : ((sum >> 8) + sum) >> 15;
    }
  }
  return opaque;
}

/**
 * @param {Uint8Array} inks C M Y K
 * @returns {Uint8Array} RGB without a colour profile, as Pillow converts it
 */
function fromInks(inks) {
  const rgb = new Uint8Array((inks.length / 4) * 3);
  for (let from = 0, to = 0; from < inks.length; from += 4, to += 3) {
    const light = 255 - inks[from + 3];
    for (let ink = 0; ink < 3; ink++) {
      const product = inks[from + ink] * light + 128;
      rgb[to + ink] = light - (((product >> 8) + product) >> 8);
    }
  }
  return rgb;
}

/**
 * EXIF's orientations: whether rows and columns are exchanged, and whether then the columns and the rows run backwards
 * in the stored picture.
 *
 * @type {Record<number, [exchanged: boolean, left: boolean, up: boolean]>}
 */
const TURNS = {
  2: [false, true, false],
  3: [false, true, true],
  4: [false, false, true],
  5: [true, false, false],
  6: [true, false, true],
  7: [true, true, true],
  8: [true, true, false],
};

/**
 * @param {Picture} picture
 * @param {number} orientation EXIF's; what isn't 2 to 8 leaves the picture as it is
 * @returns {Picture}
 */
function upright(picture, orientation) {
  if (!Object.hasOwn(TURNS, orientation)) return picture;
  const [exchanged, left, up] = TURNS[orientation];
  const [width, height] = exchanged ? [picture.height, picture.width] : [picture.width, picture.height];
  const { channels, data } = picture;
  const turned = new Uint8Array(data.length);
  // In the stored picture: one pixel to the right and one down in the upright one, and where that one starts.
  const across = (left ? -1 : 1) * channels;
  const down = (up ? -1 : 1) * picture.width * channels;
  const start =
    (left ? (picture.width - 1) * channels : 0) + (up ? (picture.height - 1) * picture.width * channels : 0);
  const [right, below] = exchanged ? [down, across] : [across, down];
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0, from = start + y * below; x < width; x++, from += right) {
      for (let channel = 0; channel < channels; channel++) turned[to++] = data[from + channel];
    }
  }
  return { width, height, channels, data: turned };
}
