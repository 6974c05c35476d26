// Maps on canvases: at their own size, which the page scales.

import { colourMapImage, colourTable } from "../src/maps/colour_maps.js";
import { SEQUENTIAL, rangeText } from "../src/maps/colour_scales.js";
import { mapOverPhoto } from "../src/maps/photo_overlay.js";
import { make } from "./elements.js";

/** @typedef {import("../src/maps/colour_scales.js").ColourScale} ColourScale */
/** @typedef {{ width: number, height: number, values: ArrayLike<number>, weak?: boolean }} Drawn */
/** @typedef {{ width: number, height: number, data: Uint8Array }} Seen */

/** Of its colours, over white, that a map keeps which hardly varies beside the others. */
const FAINT = 0.4;

/**
 * The pixels of a map, alone or over what the model saw of the photo.
 * @param {Drawn} map
 * @param {ColourScale | null} scale
 * @param {Seen | null} [over]
 * @returns {ImageData}
 */
export function pixelsOfMap(map, scale, over = null) {
  const table = colourTable(scale?.cmap ?? SEQUENTIAL);
  /** @type {[number, number] | null} */
  const ends = scale ? [scale.low, scale.high] : null;
  if (over) return new ImageData(mapOverPhoto(over, map, table, ends), over.width, over.height);
  const pixels = colourMapImage(map.values, table, ends);
  if (map.weak) for (let at = 0; at < pixels.length; at++) pixels[at] = 255 - Math.trunc((255 - pixels[at]) * FAINT);
  return new ImageData(pixels, map.width, map.height);
}

/**
 * @param {Seen} seen
 * @returns {ImageData}
 */
export function pixelsOfPhoto({ width, height, data }) {
  const image = new ImageData(width, height);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    image.data[to] = data[from];
    image.data[to + 1] = data[from + 1];
    image.data[to + 2] = data[from + 2];
    image.data[to + 3] = 255;
  }
  return image;
}

/**
 * @param {HTMLCanvasElement} canvas becomes as large as the pixels
 * @param {ImageData} pixels
 */
export function paint(canvas, pixels) {
  if (canvas.width !== pixels.width || canvas.height !== pixels.height) {
    canvas.width = pixels.width;
    canvas.height = pixels.height;
  }
  canvas.getContext("2d")?.putImageData(pixels, 0, 0);
}

/**
 * A colour bar of one colour map, at one pixel a level.
 * @param {string} cmap
 */
export function colourBar(cmap) {
  const table = colourTable(cmap);
  const pixels = new ImageData(table.length / 3, 1);
  for (let level = 0; level < pixels.width; level++) {
    pixels.data.set([table[3 * level], table[3 * level + 1], table[3 * level + 2], 255], 4 * level);
  }
  const canvas = make("canvas", { className: "bar", "aria-hidden": "true" });
  paint(canvas, pixels);
  return canvas;
}

/**
 * The ends of a map's colours with the bar between them, as they stand below a tile.
 * @param {HTMLElement} place
 * @param {ColourScale | null} scale
 * @param {ArrayLike<number>} values
 */
export function setRange(place, scale, values) {
  let bad = 0;
  for (let index = 0; index < values.length; index++) if (!Number.isFinite(values[index])) bad++;
  const beyond = bad ? ` · ${bad} not finite` : "";
  if (!scale) return place.replaceChildren(beyond.slice(3));
  const [low, high] = rangeText(scale);
  if (scale.lowest === scale.highest) return place.replaceChildren(`constant ${low}${beyond}`);
  return place.replaceChildren(
    make("span", { textContent: low }),
    colourBar(scale.cmap),
    make("span", { textContent: high + beyond }),
  );
}
