// One tile: its pixels in a frame, and below them its colour bar with its ends; lines of text that fit. The drawing of
// `runtime/maps/tile.py`, except that a map over the photo shows what the model saw of it alone.

import { roundHalfEven } from "../tensor.js";
import { colourMapImage } from "./colour_maps.js";
import { SEQUENTIAL, rangeText } from "./colour_scales.js";
import { componentImage, tableOfScale } from "./component_colours.js";
import { BRANCH, FLAT_MAP, FRAMED, WEAK } from "./feature_maps.js";
import { BAR_HEIGHT } from "./page_layout.js";
import { mapOverPhoto } from "./photo_overlay.js";
import { coloursOfPhoto } from "./picture.js";
import { shortenFront } from "./picture_text.js";
import { fit } from "./tile_places.js";

/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {import("./picture.js").Colours} Colours */
/** @typedef {import("./colour_scales.js").ColourScale} ColourScale */
/** @typedef {[x: number, y: number]} Place */
/** @typedef {import("./picture.js").Seen} Seen */
/**
 * @typedef {object} Values H W
 * @property {number} width
 * @property {number} height
 * @property {ArrayLike<number>} values
 * @property {import("./principal_components.js").Hues | null} [hues]
 */

export const INK = "#1c1c1c";
export const SOFT_INK = "#444444";
const FRAME = "#d4d4d4";
const RULE = "#33628c";
/** What a line says that stands out by its colour. @type {Record<string, string>} */
export const REMARKS = { [WEAK]: "#b3540a", [FLAT_MAP]: "#b3540a", [BRANCH]: "#33628c", [FRAMED]: "#33628c" };
/** How far pale colours are from white, of what others are. */
const PALE = 0.4;
/** The height of a colour bar, which is as wide as its map, so that all are alike. */
const BAR = 5;
/** The least space between its numbers. */
const BETWEEN = 12;

/**
 * The colours of a map, alone or over what the model saw of the photo.
 * @param {Values} map
 * @param {ColourScale | null} scale
 * @param {Seen | null} [over]
 * @returns {Colours}
 */
export function coloursOf(map, scale, over = null) {
  const { width, height, hues } = map;
  if (hues && scale && !over) return { width, height, data: componentImage(map.values, hues.plane, scale) };
  const table = tableOf(scale);
  /** @type {[number, number] | null} */
  const ends = scale ? [scale.low, scale.high] : null;
  if (over) return { width: over.width, height: over.height, data: mapOverPhoto(over, map, table, ends) };
  return { width, height, data: colourMapImage(map.values, table, ends) };
}

/**
 * The colours of a scale from its lowest to its highest value, RGB after RGB.
 * @param {ColourScale | null} scale
 */
function tableOf(scale) {
  const table = tableOfScale(cmapOf(scale));
  return scale?.pale ? Uint8Array.from(table, (level) => roundHalfEven(255 - (255 - level) * PALE)) : table;
}

/**
 * A colour bar, one pixel a level.
 * @param {ColourScale | null} scale
 * @returns {Colours}
 */
export function barOf(scale) {
  const table = tableOf(scale);
  return coloursOfPhoto({ width: table.length / 3, height: 1, data: table });
}

/** @param {ColourScale | null} scale */
export const cmapOf = (scale) => scale?.cmap ?? SEQUENTIAL;

/** @param {ArrayLike<number>} values */
export function notFinite(values) {
  let count = 0;
  for (let index = 0; index < values.length; index++) if (!Number.isFinite(values[index])) count++;
  return count;
}

/**
 * What is said of a map's colours: the lowest and the highest, in short if need be; the first is empty where one says all.
 * @param {ColourScale | null} scale null where no value is finite
 * @param {number} bad how many values aren't finite
 * @param {{ brief: boolean, short?: boolean }} how whether it isn't said what is clipped
 * @returns {[string, string]}
 */
export function endsOf(scale, bad, { brief, short = brief }) {
  const beyond = bad ? ` · ${bad} not finite` : "";
  if (!scale) return ["", beyond.slice(3)];
  const [low, high] = rangeText(scale, { short, marks: !brief });
  return scale.lowest === scale.highest ? ["", `constant ${low}${beyond}`] : [low, high + beyond];
}

/**
 * Add pixels as large as a square of `side` holds; their width and height.
 * @param {Picture} picture
 * @param {Place} place
 * @param {number} side
 * @param {Colours} colours
 * @returns {[number, number]}
 */
export function drawFramed(picture, [x, y], side, colours) {
  const [width, height] = fit([colours.height, colours.width], side);
  picture.addBox(x - 1, y - 1, width + 2, height + 2, FRAME, false);
  picture.addPixels(x, y, width, height, colours);
  return [width, height];
}

/**
 * Add the colour bar of a map, and below it its ends.
 * @param {Picture} picture
 * @param {Place} place below the map
 * @param {number} width of the line
 * @param {number} size of the text
 * @param {object} of
 * @param {ColourScale | null} of.scale of the map; null where no value is finite
 * @param {number} of.bad how many values aren't finite
 * @param {boolean} of.bar whether there is room for a bar, and it isn't in the footer
 * @param {boolean} of.brief whether it isn't said what is clipped
 * @param {number} [of.most] the width of the tile, which numbers may take where they are wider than a narrow map's bar
 */
export function drawRange(picture, [x, y], width, size, { scale, bad, bar, brief, most = width }) {
  const lengthOf = (/** @type {string} */ text) => picture.measure(text, size, false);
  const fits = (/** @type {[string, string]} */ [low, high]) => lengthOf(low) + lengthOf(high) + BETWEEN <= width;
  let texts = endsOf(scale, bad, { brief });
  const isRange = scale !== null && scale.lowest !== scale.highest;
  if (isRange && !fits(texts)) texts = endsOf(scale, bad, { brief, short: true });
  if (isRange && bar && fits(texts)) {
    picture.addPixels(x, y, width, BAR, barOf(scale));
    const baseline = y + BAR_HEIGHT + size;
    if (brief) drawZero(picture, [x, y], width, scale, size, [lengthOf(texts[0]) + BETWEEN, width - lengthOf(texts[1]) - BETWEEN]);
    picture.addText(x, baseline, texts[0], size, SOFT_INK);
    picture.addText(x + width - roundHalfEven(lengthOf(texts[1])), baseline, texts[1], size, SOFT_INK);
    return;
  }
  drawFitted(picture, [x, y + size], texts.filter(Boolean).join(" to "), size, Math.max(width, most));
}

/**
 * Where 0 is on a colour bar whose ends are on either side of it, as a part of its width; null where it isn't.
 * @param {ColourScale | null} scale
 */
export const zeroOf = (scale) => (scale && scale.low < 0 && scale.high > 0 ? 1 / (1 - scale.high / scale.low) : null);

/**
 * Mark where 0 is on a colour bar; say so if there is room between the numbers of its ends.
 * @param {Picture} picture
 * @param {Place} place
 * @param {number} width
 * @param {ColourScale} scale
 * @param {number} size of the text
 * @param {[number, number]} room
 */
function drawZero(picture, [x, y], width, scale, size, [from, to]) {
  const part = zeroOf(scale);
  if (part === null) return;
  const [at, half] = [width * part, picture.measure("0", size, false) / 2];
  picture.addBox(x + roundHalfEven(at) - 1, y + BAR, 2, 3, SOFT_INK);
  if (at - half < from || at + half > to) return;
  picture.addText(x + roundHalfEven(at - half), y + BAR_HEIGHT + size, "0", size, SOFT_INK);
}

/**
 * Add a bar that ends at a place on a baseline, of which so large a part is filled; how much of the line it takes.
 * @param {Picture} picture
 * @param {Place} place
 * @param {number} size of the text beside it
 * @param {number} part
 */
export function drawStrength(picture, [right, baseline], size, part) {
  const [width, height] = [2 * size, roundHalfEven(0.45 * size)];
  const [x, y, filled] = [right - width, baseline - height, roundHalfEven(width * part)];
  picture.addBox(x, y, width, height, FRAME);
  if (filled) picture.addBox(x, y, filled, height, RULE);
  return width + Math.floor(size / 2);
}

/**
 * Add a name that begins at a baseline, cut in front to fit, where its end says the most.
 * @param {Picture} picture
 * @param {Place} place
 * @param {string} text
 * @param {number} size
 * @param {number} width
 * @param {boolean} bold
 */
export function drawName(picture, [x, y], text, size, width, bold) {
  picture.addText(x, y, shortenFront(text, (each) => picture.measure(each, size, bold), width), size, INK, bold);
}

/**
 * Add a line of text that begins at a baseline: smaller by a few pixels at most, and cut in front, to fit.
 * @param {Picture} picture
 * @param {Place} place
 * @param {string} text
 * @param {number} size
 * @param {number} width
 * @param {string} [ink]
 * @param {boolean} [bold]
 */
export function drawFitted(picture, [x, y], text, size, width, ink = SOFT_INK, bold = false) {
  const found = fitting(picture, text, size, width, bold);
  picture.addText(x, y, shortenFront(text, (each) => picture.measure(each, found, bold), width), found, ink, bold);
}

/**
 * The size at which a text fits, or else the smallest.
 * @param {Picture} picture
 * @param {string} text
 * @param {number} size
 * @param {number} width
 * @param {boolean} bold
 */
function fitting(picture, text, size, width, bold) {
  const smallest = Math.min(size, Math.max(size - 6, 10));
  let found = size;
  while (found > smallest && picture.measure(text, found, bold) > width) found--;
  return found;
}

/**
 * Add a rule above several tiles, and below it what they belong to.
 * @param {Picture} picture
 * @param {Place} place of the rule
 * @param {string} text the name, in bold; cut in front to fit
 * @param {number} size of the text
 * @param {number} width of the rule
 * @param {string} beside what all have, after the name, if there is room
 */
export function drawHeading(picture, [x, y], text, size, width, beside) {
  picture.addBox(x, y, width, 2, RULE);
  const bold = (/** @type {string} */ each) => picture.measure(each, size, true);
  const baseline = y + 5 + size;
  const fitted = shortenFront(text, bold, width);
  if (fitted) picture.addText(x, baseline, fitted, size, RULE, true);
  const gap = Math.floor(size / 2);
  const taken = fitted ? bold(fitted) + gap : 0;
  const length = picture.measure(beside, size, false);
  if (beside && taken + length <= width) picture.addText(x + roundHalfEven(taken), baseline, beside, size, SOFT_INK);
}

/**
 * Add what is said below a name, a line each; the word that is unusual stands out by its colour.
 * @param {Picture} picture
 * @param {Place} place
 * @param {string[]} lines
 * @param {number} size
 * @param {number} line from one baseline to the next
 * @param {number} width
 */
export function drawDetails(picture, [x, baseline], lines, size, line, width) {
  lines.forEach((text, index) => {
    const at = baseline + index * line;
    const [parts, letters] = [remarked(text), fitting(picture, text, size, width, false)];
    if (parts.length === 1 || picture.measure(text, letters, false) > width) {
      drawFitted(picture, [x, at], text, size, width);
      return;
    }
    let start = x;
    for (const part of parts) {
      const ink = REMARKS[part] ?? SOFT_INK;
      if (part.trim()) picture.addText(roundHalfEven(start), at, part.trimEnd(), letters, ink);
      start += picture.measure(part, letters, false);
    }
  });
}

/**
 * A line as what is before its first remark, the remark, and what is after it; whole where it has none.
 * @param {string} text
 * @returns {string[]}
 */
export function remarked(text) {
  const word = text.split(" · ").find((each) => Object.hasOwn(REMARKS, each));
  if (!word) return [text];
  const at = text.indexOf(word);
  return [text.slice(0, at), word, text.slice(at + word.length)];
}
