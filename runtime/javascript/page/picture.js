// The grid as a picture, part by part as `layerprobe grid` lays it out, put on canvases.

import { pagesOf, pictureOf } from "../src/maps/map_page.js";
import { inPlace } from "../src/maps/picture.js";
import { make } from "./elements.js";

/** @typedef {import("../src/maps/picture.js").Picture} Picture */

const FONT = '"DejaVu Sans", system-ui, sans-serif';

/**
 * The pages, one after the other.
 * @param {import("../src/maps/map_page.js").MapPages} pages
 * @param {import("../src/maps/map_page.js").Photo} photo
 * @param {string} title
 * @returns {Generator<HTMLCanvasElement>}
 */
export function* pictures(pages, photo, title) {
  const context = contextOf(make("canvas"));
  const measure = (/** @type {string} */ text, /** @type {number} */ size, /** @type {boolean} */ bold) => {
    context.font = fontOf(size, bold);
    return context.measureText(text).width;
  };
  for (const page of pagesOf(pages)) yield drawn(pictureOf(pages, page, { title, photo, measure }));
}

/** @param {Picture} picture */
function drawn({ width, height, parts }) {
  const canvas = make("canvas", { width, height });
  const context = contextOf(canvas);
  context.fillStyle = "#ffffff";
  context.fillRect(0, 0, width, height);
  for (const part of parts) {
    if (part.kind === "pixels") {
      const { data } = inPlace(part);
      context.putImageData(new ImageData(data, part.width, part.height), part.x, part.y);
    } else if (part.kind === "text") {
      context.font = fontOf(part.size, part.bold);
      context.fillStyle = part.ink;
      context.fillText(part.text, part.x, part.y);
    } else if (part.filled) {
      context.fillStyle = part.ink;
      context.fillRect(part.x, part.y, part.width, part.height);
    } else {
      context.strokeStyle = part.ink;
      context.strokeRect(part.x + 0.5, part.y + 0.5, part.width - 1, part.height - 1);
    }
  }
  return canvas;
}

/** @param {HTMLCanvasElement} canvas */
const contextOf = (canvas) => /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));

/** @param {number} size @param {boolean} bold */
const fontOf = (size, bold) => `${bold ? "bold " : ""}${size}px ${FONT}`;
