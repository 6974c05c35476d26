// Colours for the values of one map: the table of a named colour map of matplotlib, and its look-up, as
// `runtime/maps/colour_maps.py` does it, to the byte.

import { UsageError } from "../errors.js";
import { TABLES } from "./colour_tables.js";

/** Levels of red, green and blue, from lowest to highest. @typedef {Uint8Array} ColourTable */

const VIVID = [
  [255, 0, 70],
  [0, 225, 255],
  [60, 255, 0],
  [255, 0, 255],
  [0, 0, 0],
  [128, 128, 128],
];

/** @type {Map<string, ColourTable>} */
const decoded = new Map();

/** The names of all colour maps. @returns {string[]} */
export const colourMapNames = () => Object.keys(TABLES);

/**
 * @param {string} name
 * @returns {ColourTable}
 * @throws {UsageError} there is no such colour map
 */
export function colourTable(name) {
  if (!Object.hasOwn(TABLES, name)) throw new UsageError(`There is no colour map ${name}.`);
  let table = decoded.get(name);
  if (!table) {
    table = Uint8Array.from(atob(TABLES[name]), (letter) => letter.charCodeAt(0));
    decoded.set(name, table);
  }
  return table;
}

/**
 * The colour for NaN and infinite values: of a few vivid ones, the furthest from any in `table`.
 * @param {ColourTable} table
 * @returns {number[]} red, green, blue
 */
export function notFiniteColour(table) {
  const apart = VIVID.map((vivid) => {
    let nearest = Infinity;
    for (let at = 0; at < table.length; at += 3) {
      const distance = vivid.reduce((sum, value, index) => sum + Math.abs(value - table[at + index]), 0);
      nearest = Math.min(nearest, distance);
    }
    return nearest;
  });
  return VIVID[apart.indexOf(Math.max(...apart))];
}

/**
 * The lowest and the highest finite value, or null where no value is finite.
 * @param {ArrayLike<number>} values
 * @returns {[number, number] | null}
 */
export function valueRange(values) {
  let low = Infinity;
  let high = -Infinity;
  for (let index = 0; index < values.length; index++) {
    const value = values[index];
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low <= high ? [low, high] : null;
}

/**
 * Colour `values` (H W) between two ends, by default their own, as matplotlib's `imshow` does. What lies beyond gets the
 * end's colour, a constant map the lowest one, NaN and infinite values `notFiniteColour`.
 * @param {ArrayLike<number>} values
 * @param {ColourTable} table
 * @param {[number, number] | null} [ends]
 * @returns {Uint8ClampedArray<ArrayBuffer>} H W 4: red, green, blue, 255
 */
export function colourMapImage(values, table, ends = null) {
  const levels = table.length / 3;
  const [low, high] = ends ?? valueRange(values) ?? [0, 0];
  // Halved, because the range itself may be larger than the largest float64; halving is exact.
  const halfRange = high / 2 - low / 2 || 1;
  const missing = notFiniteColour(table);
  const image = new Uint8ClampedArray(values.length * 4);
  for (let index = 0, to = 0; index < values.length; index++, to += 4) {
    const value = values[index];
    if (Number.isFinite(value)) {
      const position = ((value / 2 - low / 2) / halfRange) * levels;
      const from = 3 * Math.trunc(Math.min(Math.max(position, 0), levels - 1));
      image[to] = table[from];
      image[to + 1] = table[from + 1];
      image[to + 2] = table[from + 2];
    } else {
      [image[to], image[to + 1], image[to + 2]] = missing;
    }
    image[to + 3] = 255;
  }
  return image;
}
