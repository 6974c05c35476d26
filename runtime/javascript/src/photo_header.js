// What a photo's file says of itself before it is decoded: its kind, and how many pixels it would have. So that a message
// can say what is wrong with one, and a small file that becomes gigabytes is refused.

import { ImageError } from "./errors.js";
import { MOST_PIXELS } from "./photo.js";

const MARKER = 0xff;
/** JPEG's start of a frame, of any coding; the three between them are something else. */
const isFrame = (/** @type {number} */ code) => code >= 0xc0 && code <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(code);
/** What some browsers can't decode: by how its file starts, from a byte on. @type {[string, number, RegExp][]} */
const KINDS = [
  ["HEIC", 4, /^ftyp(hei[cxms]|hev[cxms]|mif1|msf1)/],
  ["AVIF", 4, /^ftypavi[fs]/],
  ["a film", 4, /^ftyp/],
  ["TIFF", 0, /^(II\*\0|MM\0\*)/],
  ["PDF", 0, /^%PDF/],
  ["SVG", 0, /^(<\?xml[^>]*>\s*)?<svg/],
  ["a web page", 0, /^\s*<(!doctype|html)/i],
  ["text", 0, /^[\t\n\r\x20-\x7e]+$/],
];
const STARTS_WITHIN = 256;

/**
 * @param {Uint8Array} file
 * @param {string} name for messages
 * @throws {ImageError} it is empty, or has more pixels than Pillow's decompression bomb limit
 */
export function refuseByHeader(file, name) {
  if (!file.length) throw new ImageError(`${name} is empty.\nChoose a JPEG, PNG or WebP.`);
  const [width, height] = sizeOfPhoto(file) ?? [0, 0];
  if (width * height > MOST_PIXELS) {
    throw new ImageError(
      `${name} has ${width} x ${height} = ${(width * height).toLocaleString("en-US")} pixels; ` +
        `the limit is ${MOST_PIXELS.toLocaleString("en-US")}.\nMake it smaller first.`,
    );
  }
}

/**
 * What to say of a file that a decoder refuses.
 * @param {Uint8Array} file
 * @param {string} name
 */
export function whyNotDecoded(file, name) {
  const start = textAt(file, 0, STARTS_WITHIN);
  const kind = KINDS.find(([, from, pattern]) => pattern.test(start.slice(from)))?.[0];
  const what = kind ? `is ${kind}, which this browser can't show as a photo` : "is damaged, or no photo";
  return `${name} ${what}.\nTry a JPEG, PNG or WebP.`;
}

/**
 * @param {Uint8Array} file
 * @returns {[width: number, height: number] | null} as a PNG, JPEG, GIF or WebP says it; null of another or damaged one
 */
export function sizeOfPhoto(file) {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  try {
    if (textAt(file, 1, 3) === "PNG" && textAt(file, 12, 4) === "IHDR") return [view.getUint32(16), view.getUint32(20)];
    if (textAt(file, 0, 3) === "GIF") return [view.getUint16(6, true), view.getUint16(8, true)];
    if (textAt(file, 0, 4) === "RIFF" && textAt(file, 8, 4) === "WEBP") return sizeOfWebp(file, view);
    return file[0] === MARKER && file[1] === 0xd8 ? sizeOfJpeg(file, view) : null;
  } catch (error) {
    if (error instanceof RangeError) return null; // what a DataView throws beyond the end
    throw error;
  }
}

/**
 * @param {Uint8Array} file
 * @param {DataView} view
 * @returns {[number, number] | null}
 */
function sizeOfWebp(file, view) {
  const kind = textAt(file, 12, 4);
  const in24Bits = (/** @type {number} */ at) => 1 + view.getUint16(at, true) + (view.getUint8(at + 2) << 16);
  if (kind === "VP8X") return [in24Bits(24), in24Bits(27)];
  if (kind === "VP8 ") return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
  const bits = view.getUint32(21, true);
  return kind === "VP8L" ? [1 + (bits & 0x3fff), 1 + ((bits >> 14) & 0x3fff)] : null;
}

/**
 * @param {Uint8Array} file
 * @param {DataView} view
 * @returns {[number, number] | null}
 */
function sizeOfJpeg(file, view) {
  for (let at = 2; at < file.length; ) {
    if (file[at] !== MARKER) return null;
    const code = file[at + 1];
    if (code === MARKER) at += 1; // a filling byte
    else if (isFrame(code)) return [view.getUint16(at + 7), view.getUint16(at + 5)];
    else at += 2 + view.getUint16(at + 2);
  }
  return null;
}

/**
 * @param {Uint8Array} file
 * @param {number} at
 * @param {number} length
 */
function textAt(file, at, length) {
  return String.fromCharCode(...file.subarray(at, at + length));
}
