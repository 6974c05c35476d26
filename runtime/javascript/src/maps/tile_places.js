// Where tiles are on a page: how many columns it has, and each tile's row and column; how large a map is in its tile. The
// rules of `runtime/maps/tile_places.py`; the lines of text around the tiles are in `page_layout.js`.

import { roundHalfEven } from "../tensor.js";

/** @typedef {[height: number, width: number]} Shape */
/** @typedef {[row: number, column: number]} Place */
/** From the least to the most. @typedef {[number, number]} Sides */
/**
 * @typedef {object} PageKind what a page of one kind of tiles may have
 * @property {number} mostTiles
 * @property {number} mostColumns
 * @property {Sides} sides of a tile, where that is free
 * @property {Sides} [sidesOfFew] the same with up to three columns
 * @property {number} largestText font size
 * @property {boolean} [largeProse] whether the sentences grow with the page, so that they are read also where that is made
 *   small
 */

export const MARGIN = 32;
export const GUTTER = 24;
export const ROW_GAP = 22;
const LEGIBLE_SIDE = 144;
const THINNEST = 8;
const ONE_ROW = 5;
const FEW_COLUMNS = 3;
/** What a group in two rows costs, of a row that stays empty. */
const SPLIT = 0.3;
/** Width to height that a page comes near to: of a screen, and of paper. */
const ASPECT = 1.15;

/** @type {PageKind} */
export const OUTPUT_PAGE = { mostTiles: 48, mostColumns: 8, sides: [224, 288], largestText: 19 };
/**
 * The most telling maps, which are large where they are few: with three columns of 336 pixels, text is 5 points in a paper's
 * column of 85 mm.
 * @type {PageKind}
 */
export const OVERVIEW_PAGE = { ...OUTPUT_PAGE, sidesOfFew: [320, 352], largestText: 25, largeProse: true };
/** @type {PageKind} */
export const CHANNEL_PAGE = { mostTiles: 100, mostColumns: 12, sides: [160, 224], largestText: 19 };

/**
 * Width and height at which a map of `shape` fills a square of `side`.
 * @param {Shape} shape
 * @param {number} side
 * @returns {[number, number]}
 */
export function fit([height, width], side) {
  const longest = Math.max(height, width);
  const [down, across] = [height, width].map((size) => Math.max(roundHalfEven((size * side) / longest), THINNEST));
  return [across, down];
}

/**
 * How large a tile may be, where that is free.
 * @param {PageKind} kind
 * @param {number} columns
 */
export const sidesOf = ({ sides, sidesOfFew }, columns) => (sidesOfFew && columns <= FEW_COLUMNS ? sidesOfFew : sides);

/**
 * How many of the columns a page has room for whose width is asked for.
 * @param {number} wanted
 * @param {number | null} [width]
 */
export function mostColumns(wanted, width) {
  if (!width) return wanted;
  return Math.max(Math.min(wanted, Math.floor((width - 2 * MARGIN + GUTTER) / (LEGIBLE_SIDE + GUTTER))), 1);
}

/**
 * The columns and places of some first tiles, each in a column of its own, and of the rest beside them in rows of so many.
 * @param {number} first
 * @param {number} rest
 * @param {number} perRow
 * @returns {{ columns: number, places: Place[] }}
 */
export function inRows(first, rest, perRow) {
  /** @type {(index: number) => Place} */
  const beside = (index) => [Math.floor(index / perRow), first + (index % perRow)];
  const places = Array.from({ length: first + rest }, (_, index) =>
    index < first ? /** @type {Place} */ ([0, index]) : beside(index - first),
  );
  return { columns: first + perRow, places };
}

/**
 * How many columns make a page neither a strip nor end in a row that is nearly empty, and each tile's place.
 * @param {Shape[]} shapes
 * @param {{ kind: PageKind, groups?: number[], columns?: number | null, width?: number | null }} contents
 * @param {number} tiles
 * @param {number} lines of text of a tile
 * @returns {{ columns: number, places: Place[] }}
 */
export function arranged(shapes, { kind, groups = [], columns: asked, width }, tiles, lines) {
  /** @type {number[]} */
  const regular = Array(tiles).fill(1);
  if (asked) {
    const columns = Math.min(asked, tiles);
    const [whole, filled] = [groups.length ? groups : regular, regular].map((way) => placesOf(way, columns));
    return { columns, places: whole[tiles - 1][0] === filled[tiles - 1][0] ? whole : filled };
  }
  const most = mostColumns(Math.min(kind.mostColumns, tiles), width);
  if (tiles <= ONE_ROW) return { columns: most, places: placesOf(regular, most) };
  const side = preferredSide(shapes, kind.sides);
  const row = Math.max(...shapes.map((shape) => fit(shape, side)[1])) + ((lines * side) / 15) * 1.35 + ROW_GAP;
  const cost = (/** @type {number} */ columns, /** @type {Place[]} */ places) => {
    const [lastRow, lastColumn] = places[tiles - 1];
    const rows = lastRow + 1;
    const empty = 1 - (lastColumn + 1) / columns;
    const gaps = rows - tiles / columns - empty;
    const strip = Math.abs(Math.log((columns * (side + GUTTER)) / (rows * row * ASPECT)));
    return 1.2 * strip + 1.5 * empty + (empty > 0.65 ? 1 : 0) + 6 * gaps + SPLIT * splits(groups, places);
  };
  let [best, lowest] = [{ columns: 1, places: placesOf(regular, 1) }, Infinity];
  for (let columns = 1; columns <= most; columns++) {
    for (const way of groups.length ? [regular, groups] : [regular]) {
      const places = placesOf(way, columns);
      const found = cost(columns, places);
      if (found < lowest) [best, lowest] = [{ columns, places }, found];
    }
  }
  return best;
}

/**
 * Row and column of each tile; a group that a row could hold isn't split.
 * @param {number[]} groups
 * @param {number} columns
 * @returns {Place[]}
 */
function placesOf(groups, columns) {
  /** @type {Place[]} */
  const found = [];
  let [row, column] = [0, 0];
  for (const tiles of groups) {
    if (column + tiles > columns && columns >= tiles) [row, column] = [row + 1, 0];
    for (let tile = 0; tile < tiles; tile++) {
      if (column === columns) [row, column] = [row + 1, 0];
      found.push([row, column]);
      column++;
    }
  }
  return found;
}

/**
 * How many rows go on with the group of the one before.
 * @param {number[]} groups
 * @param {Place[]} places
 */
function splits(groups, places) {
  const starts = new Set();
  let sum = 0;
  for (const tiles of groups) starts.add((sum += tiles));
  return places.filter(([, column], index) => column === 0 && index > 0 && !starts.has(index)).length;
}

/**
 * The side at which most maps are scaled by an integer factor, so that their pixels are equally large.
 * @param {Shape[]} shapes
 * @param {Sides} sides
 */
export function preferredSide(shapes, [leastSide, mostSide]) {
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

