// The layout of a picture of tiles: the tiles' size, the lines above and below them, in pixels; the rules of
// `runtime/maps/page_layout.py`, less the font sizes that only its command line asks for. Rows and columns are in
// `tile_places.js`.

import { UsageError } from "../errors.js";
import { roundHalfEven } from "../tensor.js";
import { breakName, wrap } from "./picture_text.js";
import { GUTTER, MARGIN, ROW_GAP, arranged, fit, preferredSide, sidesOf } from "./tile_places.js";

/** @typedef {import("./picture_text.js").Measure} Measure */
/** @typedef {import("./tile_places.js").Shape} Shape */
/** @typedef {import("./tile_places.js").PageKind} PageKind */
/** @typedef {import("./tile_places.js").Place} Place */
/**
 * @typedef {object} GridLayout
 * @property {number} side of a tile
 * @property {number} columns
 * @property {number} rows
 * @property {number} mapHeight of the tallest map; all rows have this height
 * @property {number} nameLines how many lines the longest name takes, at most two
 * @property {number} details how many lines the tiles have below the name
 * @property {boolean} sections whether a line above each row names the blocks
 * @property {number} text font size; most text is one smaller
 * @property {number} nameText of the names
 * @property {number} header height of what is above the tiles
 * @property {string[]} lead the lines below the title that say what is seen
 * @property {string[]} caption the lines below these
 * @property {boolean} legend whether a line above the notes explains colours
 * @property {string[]} notes the footer's lines
 * @property {Place[]} places of each tile
 * @property {number} line from one baseline to the next
 * @property {number} sectionHeight
 * @property {number} titlesHeight of the lines between the blocks' names and the map
 * @property {number} rowHeight
 * @property {number} notesTop
 * @property {number} width of the picture
 * @property {number} height
 */
/**
 * @typedef {object} Contents what a page has
 * @property {PageKind} kind
 * @property {string[]} names the text above each tile
 * @property {string[]} notes the footer's sentences
 * @property {Measure} measure
 * @property {string[]} [lead] the sentences below the title that say what is seen
 * @property {string[]} [caption] the sentences below these
 * @property {boolean} [legend] whether a line is kept free above the notes for what explains colours
 * @property {number[]} [groups] how many tiles, one after the other, belong together: they stay in one row if possible
 * @property {boolean} [hasTitle] whether a line is kept free above the tiles
 * @property {number} [details] how many lines the tiles have below the name
 * @property {boolean} [sections] whether each row has a line for the blocks' names
 * @property {number | null} [columns]
 * @property {number | null} [width] of the picture; null where what suits is taken
 */

/** Between a map and the text above or below it. */
export const GAP = 6;
/** Of a colour bar, with the space below it. */
export const BAR_HEIGHT = 8;
const LONGEST_SIDE = 16383; // WebP's own limit
const SMALLEST_SIDE = 112;
/** Of the picture: holds the footer's legend; and its sentences in a few lines, where no width is asked for. */
const LEAST_WIDTH = 480;
const USUAL_WIDTH = 624;
const PART = 12;

/**
 * The layout with the largest tiles, from the preferred side down, that keeps the picture within its limits.
 * @param {Shape[]} shapes each tile's map, H W
 * @param {Contents} contents
 * @returns {GridLayout}
 * @throws {UsageError} no size fits
 */
export function layOut(shapes, contents) {
  const { kind, names, notes, measure, lead = [], caption = [] } = contents;
  const { hasTitle = false, details = 1, sections = false, legend = false } = contents;
  const width = contents.width ?? null;
  const different = uniqueShapes(shapes);
  const lines = (details ? 3 + details : 2) + (sections ? 1.5 : 0);
  const { columns, places } = arranged(different, contents, shapes.length, lines);
  const least = width ? Math.min(width, LEAST_WIDTH) : USUAL_WIDTH;
  for (const side of triedSides(different, kind, columns, width)) {
    const text = Math.min(Math.max(roundHalfEven(side / PART), 11), kind.largestText);
    const nameText = nameSize(names, text, side, measure);
    const bold = (/** @type {string} */ each) => measure(each, nameText, true);
    const plain = (/** @type {string} */ each) => measure(each, text - 1, false);
    const footerWidth = Math.max(span(columns, side), least - 2 * MARGIN);
    const first = wrap(lead, (each) => measure(each, text, false), footerWidth);
    const underTitle = wrap(caption, plain, footerWidth);
    const found = measured(least, {
      side,
      columns,
      rows: places.length ? places[places.length - 1][0] + 1 : 0,
      mapHeight: Math.max(...different.map((shape) => fit(shape, side)[1])),
      nameLines: Math.max(...names.map((name) => breakName(name, bold, side).length)),
      details,
      sections,
      text,
      nameText,
      header: (hasTitle ? 2 * text + 16 : 0) + linesHeight(first.length + underTitle.length, text),
      lead: first,
      caption: underTitle,
      legend,
      notes: wrap(notes, plain, footerWidth),
      places,
    });
    if (Math.max(found.width, found.height) <= LONGEST_SIDE) return found;
  }
  throw new UsageError(
    `${shapes.length} tiles in rows of ${columns} are too many to stay legible in one picture: choose fewer outputs.`,
  );
}

/**
 * The upper left corner of a tile, its titles included.
 * @param {GridLayout} layout
 * @param {number} index
 * @returns {[number, number]}
 */
export function cornerOf(layout, index) {
  const [row, column] = layout.places[index];
  return [MARGIN + column * (layout.side + GUTTER), MARGIN + layout.header + row * layout.rowHeight];
}

/**
 * The sides of a tile that are tried.
 * @param {Shape[]} shapes
 * @param {PageKind} kind
 * @param {number} columns
 * @param {number | null} width
 */
function triedSides(shapes, kind, columns, width) {
  if (width) {
    const side = Math.floor((width - 2 * MARGIN + GUTTER) / columns) - GUTTER;
    return side < SMALLEST_SIDE ? [] : [side];
  }
  const found = [];
  for (let side = preferredSide(shapes, sidesOf(kind, columns)); side >= SMALLEST_SIDE; side -= 4) found.push(side);
  return found;
}

/**
 * @param {number} least width of the picture
 * @param {Omit<GridLayout, "line" | "rowHeight" | "sectionHeight" | "titlesHeight" | "notesTop" | "width" | "height">} chosen
 * @returns {GridLayout}
 */
function measured(least, chosen) {
  const line = roundHalfEven(chosen.text * 1.35);
  const sectionHeight = chosen.sections ? line + 8 : 0;
  const titlesHeight = (chosen.nameLines + chosen.details) * line + GAP;
  const rowHeight = sectionHeight + titlesHeight + chosen.mapHeight + GAP + BAR_HEIGHT + line + ROW_GAP;
  const notesTop = MARGIN + chosen.header + chosen.rows * rowHeight + GAP;
  const width = Math.max(span(chosen.columns, chosen.side) + 2 * MARGIN, least);
  const height = notesTop + (chosen.notes.length + (chosen.legend ? 1 : 0)) * line + MARGIN;
  return { ...chosen, line, sectionHeight, titlesHeight, rowHeight, notesTop, width, height };
}

/**
 * Some names a little too long for one line make all smaller; longer ones get a second line.
 * @param {string[]} names
 * @param {number} text
 * @param {number} side
 * @param {Measure} measure
 */
function nameSize(names, text, side, measure) {
  const sizes = [];
  for (let size = text; size > Math.max(text - 4, 10); size--) sizes.push(size);
  const fits = (/** @type {number} */ size) => names.every((name) => measure(name, size, true) <= side);
  // No name is broken within a word.
  const breaksWell = (/** @type {number} */ size) =>
    names.every((name) => {
      const [first, ...others] = breakName(name, (each) => measure(each, size, true), side);
      return !others.length || !/[\p{L}\p{N}]$/u.test(first);
    });
  return sizes.find(fits) ?? sizes.find(breaksWell) ?? text;
}

/**
 * @param {number} lines
 * @param {number} text
 */
const linesHeight = (lines, text) => (lines ? lines * roundHalfEven(text * 1.35) + text : 0);

/** @param {Shape[]} shapes */
const uniqueShapes = (shapes) => [...new Map(shapes.map((shape) => [shape.join(" "), shape])).values()];

/**
 * The width of so many tiles beside one another.
 * @param {number} columns
 * @param {number} side
 */
const span = (columns, side) => columns * (side + GUTTER) - GUTTER;
