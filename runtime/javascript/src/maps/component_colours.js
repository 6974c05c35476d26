// The colours of a tensor's first three principal components: the first is the brightness, the others are the hue, in
// Oklab, as `runtime/maps/component_colours.py`. What the components are is in `principal_components.js`.

import { colourTable, notFiniteColour } from "./colour_maps.js";

/** @typedef {{ height: number, width: number, plane: Float64Array }} Plane H W 2 */

/** In place of the name of a colour map. */
export const HUED = "brightness and hue";
const DARKEST = 0.25;
const BRIGHTEST = 0.93;
/** Oklab's chroma of one standard deviation of a component. */
const CHROMA = 0.065;
const MOST_CHROMA = 0.16;
const LEVELS = 256;
/** Standard deviations that the key shows in each direction; and its pixels. */
const KEY = 2.5;
const KEY_SIDE = 33;

/**
 * The first component, H W, coloured between two ends, and the others, H W 2, around grey.
 * @param {ArrayLike<number>} values
 * @param {Float64Array} plane
 * @param {{ low: number, high: number }} ends beyond which values get the end's brightness
 * @returns {Uint8ClampedArray<ArrayBuffer>} H W 4: red, green, blue, 255
 */
export function componentImage(values, plane, { low, high }) {
  // Halved, because the range may be larger than the largest float64.
  const half = high / 2 - low / 2 || 1;
  const image = new Uint8ClampedArray(4 * values.length).fill(255);
  const missing = notFiniteColour(BRIGHTNESS);
  for (let at = 0; at < values.length; at++) {
    const position = Math.min(Math.max((values[at] / 2 - low / 2) / half, 0), 1);
    const [a, b] = [plane[2 * at] * CHROMA, plane[2 * at + 1] * CHROMA];
    const less = Math.min(1, MOST_CHROMA / Math.max(Math.hypot(a, b), MOST_CHROMA));
    const colour = Number.isFinite(values[at]) ? srgb(lightnessOf(position), a * less, b * less) : missing;
    image.set(colour, 4 * at);
  }
  return image;
}

/**
 * The colours of a scale from its lowest to its highest value.
 * @param {string} cmap
 * @returns {import("./colour_maps.js").ColourTable}
 * @throws {import("../errors.js").UsageError} there is no such colour map
 */
export function tableOfScale(cmap) {
  return cmap === HUED ? BRIGHTNESS : colourTable(cmap);
}

/**
 * The hues of the second and the third component, around grey, where the first is in the middle; which way either points
 * is a tile's own.
 * @returns {import("./picture.js").Colours}
 */
export function hueKey() {
  const scores = Array.from({ length: KEY_SIDE }, (_, at) => KEY * ((2 * at) / (KEY_SIDE - 1) - 1));
  const plane = Float64Array.from(scores.flatMap((third) => scores.flatMap((second) => [second, -third])));
  const data = componentImage(new Float64Array(plane.length / 2), plane, { low: -1, high: 1 });
  return { width: KEY_SIDE, height: KEY_SIDE, data };
}

/** @param {number} position from 0 to 1 */
const lightnessOf = (position) => DARKEST + (BRIGHTEST - DARKEST) * position;

/**
 * Oklab to sRGB in bytes (Ottosson, 2020); a colour that no screen shows is cut to what it does show.
 * @param {number} lightness
 * @param {number} a
 * @param {number} b
 * @returns {number[]}
 */
function srgb(lightness, a, b) {
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ].map((each) => {
    const linear = Math.min(Math.max(each, 0), 1);
    const part = linear <= 0.0031308 ? 12.92 * linear : 1.055 * linear ** (1 / 2.4) - 0.055;
    return Math.floor(part * 255 + 0.5);
  });
}

/** The first component's colours where the others are 0: greys. */
const BRIGHTNESS = Uint8Array.from(
  Array.from({ length: LEVELS }, (_, level) => srgb(lightnessOf(level / (LEVELS - 1)), 0, 0)).flat(),
);
