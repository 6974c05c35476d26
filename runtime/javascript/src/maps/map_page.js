// Maps to pages of tiles: the names of stages and blocks, the photo, maps with colour bars. The rules of
// `runtime/maps/map_page.py`; which maps, and what is said of them, is up to `feature_grid.js` and `overview.js`.

import { aroundZero, isFlat, isInner, overviewScales, ownScale, scalesOf, strengthsOf } from "./colour_scales.js";
import { HUED } from "./component_colours.js";
import { clipNotes, innerScaleNotes, photoNotes, scaleNotes, weakNotes } from "./footer.js";
import { isComponent, isWeak } from "./feature_maps.js";
import { cornerOf, heightAbove, isShort, layOut } from "./page_layout.js";
import { drawFooter, drawTitle } from "./pages.js";
import { Picture, coloursOfPhoto } from "./picture.js";
import { breakName } from "./picture_text.js";
import { besideOf, pageRanges, sectionsOf } from "./sections.js";
import {
  INK,
  cmapOf,
  coloursOf,
  drawDetails,
  drawFitted,
  drawFramed,
  drawHeading,
  drawName,
  drawRange,
  drawStrength,
  notFinite,
} from "./tile.js";
import { mostColumns } from "./tile_places.js";
import { tilesOf, withoutName } from "./tile_texts.js";

/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/** @typedef {import("./colour_scales.js").ColourScale} ColourScale */
/** @typedef {import("./sections.js").Section} Section */
/** @typedef {import("./page_layout.js").GridLayout} GridLayout */
/** @typedef {import("./tile_places.js").Shape} Shape */
/** @typedef {import("./tile_texts.js").Tile} Tile */
/**
 * @typedef {object} MapPages all pages of some maps
 * @property {FeatureMap[]} maps
 * @property {import("./colour_scales.js").GridStyle} style
 * @property {import("./tile_places.js").PageKind} kind
 * @property {string} lead what is seen, in a sentence, which stands first; may be empty
 * @property {string[]} opening what a tile is
 * @property {string[]} closing what is left out
 * @property {string[]} facts what is worth knowing of the picture and not said in it: names of what is left out
 * @property {number | null} [perRow] how many maps a row has, where each row is of the same outputs as the first: their
 *   second components, their third ones; if so many columns have room, and no other number of them is asked for
 * @property {boolean} brief whether it is an overview: the footer and the numbers are short, and no edge takes a map's
 *   colours
 */
/**
 * @typedef {object} Photo what the maps are of: the first tile of each page
 * @property {string} name
 * @property {string} detail the sizes, width first: `224 × 224 of 640 × 480`
 * @property {import("./picture.js").Seen} seen
 */
/**
 * @typedef {object} MapPage one of them
 * @property {Tile[]} tiles
 * @property {(ColourScale | null)[]} scales of each
 * @property {number[] | null} strengths how wide the range of each is beside the others, where that differs much
 * @property {Section[]} sections that hold all tiles, or those of the first row; none where they would say nothing
 * @property {string[]} notes the sentences below; where there are several pages, the last says which it is
 * @property {string} suffix of its title
 */

/** What the photo's tile is headed by. @type {Section} */
export const PHOTO_SECTION = { name: "input", within: "", channels: null, count: 1, stage: "" };

/**
 * The scale of each map; null where no value is finite.
 * @param {MapPages} pages
 * @returns {(ColourScale | null)[]}
 */
export function scalesOfPages({ maps, style, brief }) {
  const values = maps.map((map) => map.values);
  const found = brief ? overviewScales(maps, style) : scalesOf(values, style);
  return maps.map((map, index) => colouredAs(map, found[index], style, brief));
}

/**
 * The scale of a map with the colours of principal components; in an overview, these are around 0, the mean over the image,
 * and pale in what says little.
 * @param {FeatureMap} map
 * @param {ColourScale | null} scale
 * @param {import("./colour_scales.js").GridStyle} style
 * @param {boolean} brief
 * @returns {ColourScale | null}
 */
function colouredAs(map, scale, style, brief) {
  if (map.hues && scale) return { ...scale, cmap: HUED };
  const isChosen = !brief || style.shared || style.overlay || style.cmap || style.symmetric;
  const found = isComponent(map) && !isChosen ? aroundZero(scale) : scale;
  const isPale = brief && isInner(style) && (isWeak(map) || saysFlat(map, found));
  return found && isPale ? { ...found, pale: true } : found;
}

/**
 * Which of an overview's tiles are nearly constant.
 * @param {import("./colour_scales.js").GridStyle} style
 * @param {boolean} brief
 * @param {FeatureMap[]} maps
 * @param {(ColourScale | null)[]} scales
 */
const flatOf = (style, brief, maps, scales) =>
  scales.map((scale, index) => brief && isInner(style) && saysFlat(maps[index], scale));

/**
 * Whether a tile is nearly constant.
 * @param {FeatureMap} map
 * @param {ColourScale | null} scale
 */
const saysFlat = (map, scale) => isFlat(scale) && !notFinite(map.values);

/**
 * How wide the ranges of tiles are beside one another.
 * @param {Pick<MapPages, "style" | "brief">} pages
 * @param {(ColourScale | null)[]} scales of all
 */
const strengthsOfPages = ({ style, brief }, scales) => (brief && isInner(style) ? strengthsOf(scales) : null);

/**
 * The maps of a row, as `perRow` says; null where rows are as there is room.
 * @param {MapPages} pages
 * @param {boolean} hasPhoto
 */
export function rowsOf({ perRow = null, style }, hasPhoto) {
  const wanted = (perRow ?? 0) + (hasPhoto ? 1 : 0);
  return (style.columns || wanted) === wanted && mostColumns(wanted, style.width) === wanted ? perRow : null;
}

/**
 * The sentences below some tiles.
 * @param {MapPages} pages
 * @param {FeatureMap[]} maps of these
 * @param {(ColourScale | null)[]} scales of these
 * @param {number[] | null} [strengths] of all
 * @returns {string[]}
 */
export function notesOf({ style, brief, closing }, maps, scales, strengths = strengthsOfPages({ style, brief }, scales)) {
  const coloured =
    brief && isInner(style)
      ? innerScaleNotes(scales)
      : [...scaleNotes(scales, style), ...clipNotes(scales, style, !brief)];
  const flat = flatOf(style, brief, maps, scales).some(Boolean);
  const ofPhoto = style.overlay || !brief ? photoNotes(Boolean(style.overlay)) : [];
  return [...coloured, ...weakNotes(maps, strengths, flat), ...ofPhoto, ...closing];
}

/**
 * The pages, one after the other.
 * @param {MapPages} pages
 * @param {number} [most] tiles on a page
 * @param {boolean} [hasPhoto]
 * @returns {MapPage[]}
 */
export function pagesOf(pages, most = pages.kind.mostTiles, hasPhoto = true) {
  const all = scalesOfPages(pages);
  const strengths = strengthsOfPages(pages, all);
  const paths = pages.maps.map((map) => map.path);
  return pageRanges(paths, most).map(([from, to], index, ranges) => {
    const [maps, scales] = [pages.maps.slice(from, to), all.slice(from, to)];
    const sections = sectionsOf(maps.slice(0, rowsOf(pages, hasPhoto) ?? maps.length));
    const several = ranges.length > 1;
    const [number, count] = [index + 1, ranges.length];
    const place = `Page ${number} of ${count}: tiles ${from + 1} to ${to} of ${pages.maps.length}.`;
    return {
      tiles: tilesOf(maps, sections, flatOf(pages.style, pages.brief, maps, scales)),
      scales,
      strengths: strengths && strengths.slice(from, to),
      sections,
      notes: [...notesOf(pages, maps, scales, strengths), ...(several ? [place] : [])],
      suffix: several ? ` · page ${number} of ${count}` : "",
    };
  });
}

/**
 * What a section's heading says: its name, and what is beside it.
 * @param {Section} section
 * @returns {{ name: string, beside: string }}
 */
export function headingOf(section) {
  const { stage, name } = section;
  return { name: stage || name, beside: stage ? name : besideOf(section) };
}

/**
 * The tiles, of which one beside another of the same output in the same row doesn't repeat its name.
 * @param {Tile[]} tiles
 * @param {boolean} brief
 * @param {(index: number) => number} rowOf
 * @returns {Tile[]}
 */
export function namedOnce(tiles, brief, rowOf) {
  return tiles.map((tile, index) => {
    const isBeside = brief && tiles[index - 1]?.name === tile.name && rowOf(index - 1) === rowOf(index);
    return isBeside ? withoutName(tile) : tile;
  });
}

/**
 * One page as a picture.
 * @param {MapPages} pages
 * @param {MapPage} page one of them
 * @param {{ title: string, photo: Photo | null, measure: import("./picture_text.js").Measure }} given
 * @returns {Picture}
 */
export function pictureOf(pages, page, { title, photo, measure }) {
  const layout = layoutOf(pages, page, photo, measure);
  const picture = new Picture(layout.width, layout.height, measure);
  const first = photo ? 1 : 0;
  const { brief, style } = pages;
  drawTitle(picture, layout, title + page.suffix);
  if (photo) drawPhotoTile(picture, layout, photo);
  if (page.sections.length) drawSections(picture, layout, [...(photo ? [PHOTO_SECTION] : []), ...page.sections]);
  const tiles = namedOnce(page.tiles, brief, (index) => layout.places[index + first][0]);
  tiles.forEach((tile, index) =>
    drawTile(picture, layout, index + first, tile, page.scales[index], {
      brief,
      bar: !style.shared,
      strength: page.strengths && page.strengths[index],
      over: style.overlay && photo ? photo.seen : null,
    }),
  );
  const bad = page.tiles.flatMap(({ map }, index) => (notFinite(map.values) ? [cmapOf(page.scales[index])] : []));
  const isHued = page.tiles.some(({ map }) => map.hues);
  drawFooter(picture, layout, style.shared ? page.scales[0] : null, bad, isHued);
  return picture;
}

/**
 * Where everything is on a page with a title.
 * @param {MapPages} pages
 * @param {MapPage} page one of them
 * @param {Photo | null} photo
 * @param {import("./picture_text.js").Measure} measure
 */
function layoutOf(pages, { tiles, sections, notes }, photo, measure) {
  const { style, kind, lead, opening } = pages;
  /** @type {Shape[]} */
  const first = photo ? [[photo.seen.height, photo.seen.width]] : [];
  const shapes = tiles.map(({ map }) => (style.overlay && photo ? first[0] : /** @type {Shape} */ ([map.height, map.width])));
  return layOut([...first, ...shapes], {
    kind,
    names: tiles.map(({ name }) => name),
    notes: pages.brief ? [notes.join(" ")] : notes,
    measure,
    lead: lead ? [lead] : [],
    caption: opening,
    groups: sections.length ? [...first.map(() => 1), ...sections.map(({ count }) => count)] : [],
    hasTitle: true,
    details: Math.max(...tiles.slice(0, rowsOf(pages, photo !== null) ?? undefined).map(({ lines }) => lines.length)),
    sections: sections.length > 0,
    legend: Boolean(style.shared) || tiles.some(({ map }) => map.hues || notFinite(map.values) > 0),
    columns: style.columns,
    width: style.width,
    perRow: rowsOf(pages, photo !== null),
  });
}

/**
 * Add a rule above the tiles of each section, and its name where it begins, and where its next row does.
 * @param {Picture} picture
 * @param {GridLayout} layout
 * @param {Section[]} sections
 */
function drawSections(picture, layout, sections) {
  let start = 0;
  for (const section of sections) {
    const tiles = Array.from({ length: section.count }, (_, index) => start + index);
    start += section.count;
    const { name, beside } = headingOf(section);
    for (const row of new Set(tiles.map((tile) => layout.places[tile][0]))) {
      const here = tiles.filter((tile) => layout.places[tile][0] === row);
      const [x, y] = cornerOf(layout, here[0]);
      const width = cornerOf(layout, here[here.length - 1])[0] + layout.side - x;
      drawHeading(picture, [x, y], name, layout.text - 1, width, beside);
    }
  }
}

/**
 * Add the first tile: the photo, with its name on one line and its size where maps have theirs.
 * @param {Picture} picture
 * @param {GridLayout} layout
 * @param {Photo} photo
 */
function drawPhotoTile(picture, layout, { name, detail, seen }) {
  const [x, top] = cornerOf(layout, 0);
  const y = top + heightAbove(layout, 0);
  const above = layout.details ? layout.line : 0;
  const baseline = y - layout.titlesHeight + (layout.nameLines - 1) * layout.line + layout.text;
  drawName(picture, [x, baseline], name, layout.text, layout.side, !layout.sections);
  const [, height] = drawFramed(picture, [x, y], layout.side, coloursOfPhoto(seen));
  const size = layout.text - 1;
  drawFitted(picture, [x, above ? baseline + above : y + height + 6 + size], detail, size, layout.side);
}

/**
 * Add what is above a tile's map, less what the tile in the first row says; at its end how wide the range is.
 * @param {Picture} picture
 * @param {GridLayout} layout
 * @param {number} index
 * @param {Tile} tile
 * @param {number | null} strength
 */
function drawTexts(picture, layout, index, { name, lines }, strength) {
  const [x, top] = cornerOf(layout, index);
  const { side, line, text, nameText } = layout;
  const isBelow = isShort(layout, index);
  const names = isBelow ? [] : breakName(name, (each) => picture.measure(each, nameText, true), side);
  const details = isBelow ? lines.slice(-1) : lines;
  // So that the names end at one height.
  let baseline = top + text + (isBelow ? 0 : layout.sectionHeight + (layout.nameLines - names.length) * line);
  for (const each of names) {
    if (each) picture.addText(x, baseline, each, nameText, INK, !layout.sections);
    baseline += line;
  }
  const before = Math.max(details.length - 1, 0);
  const last = baseline + before * line;
  const bar = strength === null ? 0 : drawStrength(picture, [x + side, last], text - 1, strength);
  drawDetails(picture, [x, baseline], details.slice(0, before), text - 1, line, side);
  drawDetails(picture, [x, last], details.slice(before), text - 1, line, side - bar);
}

/**
 * @param {Picture} picture
 * @param {GridLayout} layout
 * @param {number} index
 * @param {Tile} tile
 * @param {ColourScale | null} scale
 * @param {{ bar: boolean, over: import("./picture.js").Seen | null, brief: boolean, strength: number | null }} how
 */
function drawTile(picture, layout, index, tile, scale, { bar, over, brief, strength }) {
  drawTexts(picture, layout, index, tile, strength);
  const [x, top] = cornerOf(layout, index);
  const { side, text } = layout;
  const { map } = tile;
  const y = top + heightAbove(layout, index);
  const [width, height] = drawFramed(picture, [x, y], side, coloursOf(map, scale, over));
  const room = Math.max(width, Math.floor(side / 2)); // the numbers stay below a narrow map
  // Without a bar the scale is in the footer, and the tile says what is its own.
  const ends = bar ? scale : ownScale(map.values);
  drawRange(picture, [x, y + height + 6], room, text - 1, { scale: ends, bad: notFinite(map.values), bar, brief, most: side });
}
