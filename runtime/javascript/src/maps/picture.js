// A picture as a list of what is in it: pixels, lines of text, boxes, as `runtime/maps/picture.py`. Lengths are in pixels,
// from the upper left. A page puts it on a canvas, whose letters it is measured by.

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
