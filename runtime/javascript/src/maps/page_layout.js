// The layout of a picture of tiles: the tiles' size, the lines above and below them, in pixels; the rules of
// `runtime/maps/page_layout.py`, less the font sizes that only its command line asks for. Rows and columns are in
// `tile_places.js`.

import { UsageError } from "../errors.js";
import { roundHalfEven } from "../tensor.js";
import { breakName, wrap } from "./picture_text.js";
import { GUTTER, MARGIN, ROW_GAP, arranged, fit, inRows, preferredSide, sidesOf } from "./tile_places.js";

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
 * @property {number} prose font size of the title and the sentences
 * @property {number} proseLine from one baseline of sentences to the next
 * @property {boolean} notesBeside whether the notes are below the first tile, beside the rows that have none there
 * @property {number} notesText font size of the notes; they are one smaller
 * @property {number} notesLine from one baseline of the notes to the next
 * @property {boolean} shortRows whether the tiles below the first row have one line of text alone
 * @property {number} header height of what is above the tiles
 * @property {string[]} lead the lines below the title that say what is seen
 * @property {string[]} caption the lines below these
 * @property {boolean} legend whether a line above the notes explains colours
 * @property {string[]} notes the footer's lines
 * @property {Place[]} places of each tile
 * @property {number} line from one baseline to the next
 * @property {number} sectionHeight
 * @property {number} titlesHeight of the lines between the blocks' names and the map
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
 * @property {number | null} [perRow] how many of the named tiles each row has, where all below the first have one line of
 *   text alone
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
/** By how much notes are smaller that are beside rows. */
const BESIDE = 2;
/** Of a page's width, how large its sentences are. */
const PROSE_PART = 54;

/**
 * The layout with the largest tiles, from the preferred side down, that keeps the picture within its limits.
 * @param {Shape[]} shapes each tile's map, H W
 * @param {Contents} contents
 * @returns {GridLayout}
 * @throws {UsageError} no size fits
 */
export function layOut(shapes, contents) {
  const { kind, names, notes, measure, lead = [], caption = [] } = contents;
  const { hasTitle = false, details = 1, sections = false, legend = false, perRow = null } = contents;
  const width = contents.width ?? null;
  const different = uniqueShapes(shapes);
  const lines = (details ? 3 + details : 2) + (sections ? 1.5 : 0);
  const { columns, places } = perRow
    ? inRows(shapes.length - names.length, names.length, perRow)
    : arranged(different, contents, shapes.length, lines);
  const least = width ? Math.min(width, LEAST_WIDTH) : USUAL_WIDTH;
  for (const side of triedSides(different, kind, columns, width)) {
    const text = Math.min(Math.max(roundHalfEven(side / PART), 11), kind.largestText);
    const nameText = nameSize(names, text, side, measure);
    const bold = (/** @type {string} */ each) => measure(each, nameText, true);
    const footerWidth = Math.max(span(columns, side), least - 2 * MARGIN);
    const prose = kind.largeProse
      ? Math.min(Math.max(text, roundHalfEven(footerWidth / PROSE_PART)), kind.largestText)
      : text;
    const plain = (/** @type {string} */ each) => measure(each, prose - 1, false);
    const first = wrap(lead, (each) => measure(each, prose, false), footerWidth);
    const underTitle = wrap(caption, plain, footerWidth);
    const chosen = {
      side,
      columns,
      rows: places.length ? places[places.length - 1][0] + 1 : 0,
      mapHeight: Math.max(...different.map((shape) => fit(shape, side)[1])),
      nameLines: Math.max(...names.map((name) => breakName(name, bold, side).length)),
      details,
      sections,
      text,
      nameText,
      prose,
      shortRows: perRow !== null,
      header: (hasTitle ? 2 * prose + 16 : 0) + linesHeight(first.length + underTitle.length, prose),
      lead: first,
      caption: underTitle,
      legend,
      notes: wrap(notes, plain, footerWidth),
      places,
      notesBeside: false,
    };
    const hasRoomBeside = perRow && shapes.length > names.length && !legend;
    const found = measured(least, hasRoomBeside ? withNotesBeside(chosen, notes, least, measure) : chosen);
    if (Math.max(found.width, found.height) <= LONGEST_SIDE) return found;
  }
  throw new UsageError(
    `${shapes.length} tiles in rows of ${columns} are too many to stay legible in one picture: choose fewer outputs.`,
  );
}

/**
 * The layout with its notes below the first tile, which has a column of its own, if they have room there.
 * @param {Chosen} chosen
 * @param {string[]} notes
 * @param {number} least width of the picture
 * @param {Measure} measure
 * @returns {Chosen}
 */
function withNotesBeside(chosen, notes, least, measure) {
  const lines = wrap(notes, (each) => measure(each, chosen.text - BESIDE - 1, false), chosen.side);
  const beside = { ...chosen, notes: lines, notesBeside: true };
  const [below, other] = [measured(least, chosen), measured(least, beside)];
  const room = below.height - MARGIN - chosen.notes.length * below.proseLine - other.notesTop;
  return lines.length * other.notesLine <= room ? beside : chosen;
}

/**
 * The upper left corner of a tile, its titles included.
 * @param {GridLayout} layout
 * @param {number} index
 * @returns {[number, number]}
 */
export function cornerOf(layout, index) {
  const [row, column] = layout.places[index];
  return [MARGIN + column * (layout.side + GUTTER), topOf(layout, row)];
}

/**
 * Whether a tile has one line of text alone.
 * @param {GridLayout} layout
 * @param {number} index
 */
export const isShort = (layout, index) => layout.shortRows && layout.places[index][0] > 0;

/**
 * The height of what is above a tile's map.
 * @param {GridLayout} layout
 * @param {number} index
 */
export const heightAbove = (layout, index) => heightAboveRow(layout, layout.places[index][0]);

/**
 * @typedef {Pick<GridLayout, "shortRows" | "line" | "sectionHeight" | "titlesHeight" | "mapHeight" | "header">} OfRows
 * @param {OfRows} layout
 * @param {number} row
 */
const heightAboveRow = ({ shortRows, line, sectionHeight, titlesHeight }, row) =>
  shortRows && row ? line + GAP : sectionHeight + titlesHeight;

/**
 * The top of a row, below the header.
 * @param {OfRows} layout
 * @param {number} row
 */
function topOf(layout, row) {
  const below = layout.mapHeight + GAP + BAR_HEIGHT + layout.line + ROW_GAP;
  let top = MARGIN + layout.header;
  for (let each = 0; each < row; each++) top += heightAboveRow(layout, each) + below;
  return top;
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
 * @typedef {Omit<GridLayout, "line" | "proseLine" | "sectionHeight" | "titlesHeight" | "notesTop" | "notesText" | "notesLine"
 *   | "width" | "height">} Chosen
 * @param {number} least width of the picture
 * @param {Chosen} chosen
 * @returns {GridLayout}
 */
function measured(least, chosen) {
  const line = roundHalfEven(chosen.text * 1.35);
  const sectionHeight = chosen.sections ? line + 8 : 0;
  const titlesHeight = (chosen.nameLines + chosen.details) * line + GAP;
  const proseLine = roundHalfEven(chosen.prose * 1.35);
  const rows = { ...chosen, line, sectionHeight, titlesHeight };
  const bottom = topOf(rows, chosen.rows);
  const { notesBeside } = chosen;
  const notesTop = notesBeside ? topOf(rows, 1) : bottom + GAP;
  const below = notesBeside ? 0 : GAP + (chosen.notes.length + (chosen.legend ? 1 : 0)) * proseLine;
  const width = Math.max(span(chosen.columns, chosen.side) + 2 * MARGIN, least);
  const notesText = notesBeside ? chosen.text - BESIDE : chosen.prose;
  const notesLine = roundHalfEven(notesText * 1.35);
  return { ...rows, proseLine, notesTop, notesText, notesLine, width, height: bottom + below + MARGIN };
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
