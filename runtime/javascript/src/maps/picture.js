// A picture as a list of what is in it: pixels, lines of text, boxes, as `runtime/maps/picture.py`. Lengths are in pixels,
// from the upper left. A page puts it on a canvas, whose letters it is measured by.

import { resize } from "../resize.js";

/** What the model saw of a photo, H W 3. @typedef {{ width: number, height: number, data: Uint8Array }} Seen */
/** Colours of pixels, H W 4. @typedef {{ width: number, height: number, data: Uint8ClampedArray<ArrayBuffer> }} Colours */
/**
 * Colours in a place of another size.
 * @typedef {{ kind: "pixels", x: number, y: number, width: number, height: number, colours: Colours }} Pixels
 */
/**
 * One line of text; `y` is its baseline.
 * @typedef {{ kind: "text", x: number, y: number, text: string, size: number, ink: string, bold: boolean }} Text
 */
/**
 * A filled rectangle, or the frame of one.
 * @typedef {{ kind: "box", x: number, y: number, width: number, height: number, ink: string, filled: boolean }} Box
 */

export class Picture {
  /**
   * @param {number} width
   * @param {number} height
   * @param {import("./picture_text.js").Measure} measure
   */
  constructor(width, height, measure) {
    this.width = width;
    this.height = height;
    this.measure = measure;
    /** @type {(Pixels | Text | Box)[]} in the order of drawing */
    this.parts = [];
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} height @param {Colours} colours */
  addPixels(x, y, width, height, colours) {
    this.parts.push({ kind: "pixels", x, y, width, height, colours });
  }

  /** @param {number} x @param {number} y @param {string} text @param {number} size @param {string} ink @param {boolean} [bold] */
  addText(x, y, text, size, ink, bold = false) {
    this.parts.push({ kind: "text", x, y, text, size, ink, bold });
  }

  /**
   * @param {number} x @param {number} y @param {number} width @param {number} height @param {string} ink
   * @param {boolean} [filled]
   */
  addBox(x, y, width, height, ink, filled = true) {
    this.parts.push({ kind: "box", x, y, width, height, ink, filled });
  }
}

/**
 * @param {Seen} seen
 * @returns {Colours}
 */
export function coloursOfPhoto({ width, height, data }) {
  const found = new Uint8ClampedArray(width * height * 4).fill(255);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) found.set(data.subarray(from, from + 3), to);
  return { width, height, data: found };
}

/**
 * Colours in the size of their place, to the byte as Python's: enlarged with crisp pixels, made smaller smoothly. A canvas
 * repeats other pixels where the scale isn't a whole number.
 * @param {Pixels} part
 * @returns {Colours}
 */
export function inPlace({ width, height, colours }) {
  const isEnlarged = colours.width <= width && colours.height <= height;
  const picture = { width: colours.width, height: colours.height, channels: /** @type {const} */ (3), data: rgbOf(colours) };
  return coloursOfPhoto(resize(picture, width, height, isEnlarged ? "nearest" : "lanczos"));
}

/** @param {Colours} colours, all opaque */
function rgbOf({ width, height, data }) {
  const found = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; to < found.length; from += 4, to += 3) found.set(data.subarray(from, from + 3), to);
  return found;
}
