// The layout of a picture of tiles: columns, the tiles' size, the lines above and below them, in pixels; the rules of
// `runtime/maps/page_layout.py`. What measures text is handed in: a canvas does.

import { UsageError } from "../errors.js";
import { roundHalfEven } from "../tensor.js";

/** The width of a text in pixels. @typedef {(text: string, size: number, bold: boolean) => number} Measure */
/** @typedef {{ mostTiles: number, mostColumns: number, leastSide: number, mostSide: number }} PageKind */
/**
 * @typedef {object} GridLayout
 * @property {number} side of a tile
 * @property {number} columns
 * @property {number} rows
 * @property {number} mapHeight of the tallest map; all rows have this height
 * @property {number} nameLines how many lines the longest name takes
 * @property {boolean} details whether the tiles have a line below the name
 * @property {boolean} sections whether a line above each row names the blocks
 * @property {number} text font size of the names; the other text is one smaller
 * @property {number} header height of what is above the tiles
 * @property {string[]} notes the footer's lines
 * @property {number} line from one baseline to the next
 * @property {number} rowHeight
 * @property {number} sectionHeight
 * @property {number} titlesHeight
 * @property {number} notesTop
 * @property {number} width of the picture
 * @property {number} height
 */

export const MARGIN = 32;
const GUTTER = 24;
const ROW_GAP = 22;
const GAP = 6;
const LONGEST_SIDE = 16383;
const SMALLEST_SIDE = 112;
const THINNEST = 8;
const LEAST_WIDTH = 480;
const ONE_ROW = 4;
const ASPECT = 1.15;

/** @type {PageKind} */
export const OUTPUT_PAGE = { mostTiles: 48, mostColumns: 8, leastSide: 224, mostSide: 288 };
/** @type {PageKind} */
export const CHANNEL_PAGE = { mostTiles: 100, mostColumns: 12, leastSide: 160, mostSide: 224 };

/**
 * The layout with the largest tiles, from the preferred side down, that keeps the picture within its limits.
 * @param {[number, number][]} shapes each tile's map, H W
 * @param {object} given
 * @param {PageKind} given.kind
 * @param {string[]} given.names the text above each tile
 * @param {string[]} given.notes the footer's sentences
 * @param {Measure} given.measure
 * @param {boolean} [given.hasTitle]
 * @param {boolean} [given.details]
 * @param {boolean} [given.sections]
 * @param {number | null} [given.columns]
 * @returns {GridLayout}
 * @throws {UsageError} no size fits
 */
export function layOut(
  shapes,
  { kind, names, notes, measure, hasTitle = false, details = true, sections = false, columns = null },
) {
  const tiles = shapes.length;
  const different = uniqueShapes(shapes);
  const chosen = Math.min(columns ?? columnsOf(tiles, kind, different, details ? 4 : 2), tiles);
  for (let side = preferredSide(different, kind); side >= SMALLEST_SIDE; side -= 4) {
    const text = Math.min(Math.max(roundHalfEven(side / (details ? 15 : 12)), 11), 17);
    const footerWidth = Math.max(span(chosen, side), LEAST_WIDTH - 2 * MARGIN);
    const bold = (/** @type {string} */ each) => measure(each, text, true);
    const plain = (/** @type {string} */ each) => measure(each, text - 1, false);
    const layout = measured({
      side,
      columns: chosen,
      rows: Math.ceil(tiles / chosen),
      mapHeight: Math.max(...different.map((shape) => fit(shape, side)[1])),
      nameLines: Math.max(...names.map((name) => breakName(name, bold, side).length)),
      details,
      sections,
      text,
      header: hasTitle ? 2 * text + 10 : 0,
      notes: wrap(notes, plain, footerWidth),
    });
    if (Math.max(layout.width, layout.height) <= LONGEST_SIDE) return layout;
  }
  throw new UsageError(
    `${tiles} tiles in rows of ${chosen} are too many to stay legible in one picture: choose fewer outputs.`,
  );
}

/**
 * The upper left corner of a tile, its titles included.
 * @param {GridLayout} layout
 * @param {number} index
 * @returns {[number, number]}
 */
export function cornerOf(layout, index) {
  const [row, column] = [Math.floor(index / layout.columns), index % layout.columns];
  return [MARGIN + column * (layout.side + GUTTER), MARGIN + layout.header + row * layout.rowHeight];
}

/**
 * Width and height at which a map of `shape` (H W) fills a square of `side`.
 * @param {[number, number]} shape
 * @param {number} side
 * @returns {[number, number]}
 */
export function fit([height, width], side) {
  const longest = Math.max(height, width);
  const [down, across] = [height, width].map((size) => Math.max(roundHalfEven((size * side) / longest), THINNEST));
  return [across, down];
}

/**
 * A name in one line or two, broken after a dot, or else an underscore; one too long for two is cut in the middle.
 * @param {string} name
 * @param {(text: string) => number} measure
 * @param {number} width
 * @returns {string[]}
 */
export function breakName(name, measure, width) {
  const letters = Array.from(name.split(/\s+/).filter(Boolean).join(" "));
  const text = (/** @type {number} */ from, to = letters.length) => letters.slice(from, to).join("");
  if (measure(text(0)) <= width) return [text(0)];
  let fitting = 1;
  while (fitting < letters.length && measure(text(0, fitting + 1)) <= width) fitting++;
  const ends = [".", "_"].map((mark) => letters.lastIndexOf(mark, fitting - 1) + 1);
  const end = ends.find((each) => each * 2 >= fitting && measure(text(each)) <= width) ?? fitting;
  return [text(0, end), shortenFront(text(end), measure, width)];
}

/**
 * A text on one line, or `…` and as much of its end, the most specific part of a name, as `width` pixels hold.
 * @param {string} text
 * @param {(text: string) => number} measure
 * @param {number} width
 */
export function shortenFront(text, measure, width) {
  const letters = Array.from(text.split(/\s+/).filter(Boolean).join(" "));
  if (measure(letters.join("")) <= width) return letters.join("");
  let start = 1;
  while (start < letters.length && measure(`…${letters.slice(start).join("")}`) > width) start++;
  return `…${letters.slice(start).join("")}`;
}

/**
 * The sentences, each starting a new line, in lines of at most `width` pixels.
 * @param {string[]} sentences
 * @param {(text: string) => number} measure
 * @param {number} width
 * @returns {string[]}
 */
export function wrap(sentences, measure, width) {
  const lines = [];
  for (const sentence of sentences) {
    let line = "";
    for (const word of sentence.split(/\s+/).filter(Boolean)) {
      if (line && measure(`${line} ${word}`) > width) {
        lines.push(line);
        line = "";
      }
      line += (line ? " " : "") + shortenFront(word, measure, width);
    }
    lines.push(line);
  }
  return lines;
}

/**
 * @param {Omit<GridLayout, "line" | "rowHeight" | "sectionHeight" | "titlesHeight" | "notesTop" | "width" | "height">} chosen
 * @returns {GridLayout}
 */
function measured(chosen) {
  const line = roundHalfEven(chosen.text * 1.35);
  const sectionHeight = chosen.sections ? line + 8 : 0;
  const titlesHeight = (chosen.nameLines + (chosen.details ? 1 : 0)) * line + GAP;
  const rowHeight = sectionHeight + titlesHeight + chosen.mapHeight + GAP + line + ROW_GAP;
  const notesTop = MARGIN + chosen.header + chosen.rows * rowHeight + GAP;
  const width = Math.max(span(chosen.columns, chosen.side) + 2 * MARGIN, LEAST_WIDTH);
  const height = notesTop + (chosen.notes.length + 1) * line + 8 + MARGIN;
  return { ...chosen, line, sectionHeight, titlesHeight, rowHeight, notesTop, width, height };
}

/**
 * How many columns make a page neither a strip nor end in a row that is nearly empty.
 * @param {number} tiles
 * @param {PageKind} kind
 * @param {[number, number][]} shapes
 * @param {number} lines of text of a tile
 */
function columnsOf(tiles, kind, shapes, lines) {
  const most = Math.min(kind.mostColumns, tiles);
  if (tiles <= ONE_ROW) return most;
  const side = preferredSide(shapes, kind);
  const row = Math.max(...shapes.map((shape) => fit(shape, side)[1])) + ((lines * side) / 15) * 1.35 + ROW_GAP;
  const cost = (/** @type {number} */ columns) => {
    const rows = Math.ceil(tiles / columns);
    const empty = (rows * columns - tiles) / columns;
    const strip = Math.abs(Math.log((columns * (side + GUTTER)) / (rows * row * ASPECT)));
    return 1.5 * strip + empty + (empty > 0.65 ? 1 : 0);
  };
  let best = 1;
  for (let columns = 2; columns <= most; columns++) if (cost(columns) < cost(best)) best = columns;
  return best;
}

/**
 * The side at which most maps are scaled by an integer factor, so that their pixels are equally large.
 * @param {[number, number][]} shapes
 * @param {PageKind} kind
 */
function preferredSide(shapes, { leastSide, mostSide }) {
  const longest = [...new Set(shapes.map((shape) => Math.max(...shape)))];
  const middle = (leastSide + mostSide) / 2;
  let best = leastSide;
  let [most, nearest] = [-1, Infinity];
  for (let side = leastSide; side <= mostSide; side++) {
    const whole = longest.filter((size) => side % size === 0 || size % side === 0).length;
    if (whole > most || (whole === most && Math.abs(side - middle) < nearest)) {
      [best, most, nearest] = [side, whole, Math.abs(side - middle)];
    }
  }
  return best;
}

/** @param {[number, number][]} shapes */
function uniqueShapes(shapes) {
  return [...new Map(shapes.map((shape) => [shape.join(" "), shape])).values()];
}

/**
 * The width of so many tiles beside one another.
 * @param {number} columns
 * @param {number} side
 */
function span(columns, side) {
  return columns * (side + GUTTER) - GUTTER;
}
