// Colours on canvases: at their own size, which the page scales.

import { barOf, endsOf, notFinite, zeroOf } from "../src/maps/tile.js";
import { make } from "./elements.js";

/** @typedef {import("../src/maps/colour_scales.js").ColourScale} ColourScale */

/** Of a colour bar's width, what the numbers at its ends take. */
const FREE = 0.33;

/**
 * @param {HTMLCanvasElement} canvas becomes as large as the colours
 * @param {import("../src/maps/picture.js").Colours} colours
 */
export function paint(canvas, { width, height, data }) {
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  canvas.getContext("2d")?.putImageData(new ImageData(data, width, height), 0, 0);
}

/**
 * The colour bar of a map, and below it its ends.
 * @param {HTMLElement} place
 * @param {ColourScale | null} scale
 * @param {ArrayLike<number>} values
 * @param {{ brief: boolean, bar?: boolean }} how whether it isn't said what is clipped, and the bar isn't elsewhere
 */
export function setRange(place, scale, values, { brief, bar = true }) {
  const ends = endsOf(scale, notFinite(values), { brief });
  const texts = ends.map((textContent) => make("span", { textContent }));
  const isRange = scale !== null && scale.lowest !== scale.highest;
  if (!isRange || !bar) return place.replaceChildren(ends.filter(Boolean).join(" to "));
  const canvas = make("canvas", { className: "bar", "aria-hidden": "true" });
  paint(canvas, barOf(scale));
  const zero = brief ? zeroOf(scale) : null;
  if (zero !== null && Math.min(zero, 1 - zero) > FREE) {
    const mark = make("span", { className: "zero", textContent: "0", "aria-hidden": "true" });
    mark.style.left = `${100 * zero}%`;
    texts.push(mark);
  }
  return place.replaceChildren(canvas, ...texts);
}
