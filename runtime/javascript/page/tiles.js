// The grid: the photo as the model saw it, then a tile for each map, section by section. A map that is drawn again, as of
// the camera's next photo, keeps its tile; an overview picks its maps anew of each photo.

import { ownScale } from "../src/maps/colour_scales.js";
import { PHOTO_SECTION, headingOf, namedOnce, pagesOf, rowsOf } from "../src/maps/map_page.js";
import { coloursOfPhoto } from "../src/maps/picture.js";
import { REMARKS, coloursOf, remarked } from "../src/maps/tile.js";
import { arranged } from "../src/maps/tile_places.js";
import { make, named } from "./elements.js";
import { paint, setRange } from "./painting.js";

/** @typedef {import("../src/maps/map_page.js").MapPages} MapPages */
/** @typedef {import("../src/maps/tile_texts.js").Tile} Tile */
/** @typedef {import("../src/maps/sections.js").Section} Section */
/** @typedef {import("../src/maps/colour_scales.js").ColourScale} ColourScale */
/** @typedef {{ name: string, detail: string, seen: import("../src/maps/picture.js").Seen }} Photo */
/**
 * @typedef {object} Parts
 * @property {HTMLElement} tile
 * @property {HTMLElement} heading
 * @property {HTMLElement} name
 * @property {HTMLElement} details
 * @property {HTMLCanvasElement} canvas
 * @property {HTMLElement} range
 * @property {HTMLElement} unseen the section's heading, where it isn't above the tile itself
 */

/** Of text that a tile has, as the layout of a picture counts them: two below its name, one above it. */
const LINES = 3 + 2 + 1.5;

export class Tiles {
  /**
   * @param {HTMLElement} place
   * @param {(index: number) => void} open what a click on a tile does
   */
  constructor(place, open) {
    this.place = place;
    this.open = open;
    /** @type {Map<string, Parts>} by the name of the output, and which of its maps it is */
    this.parts = new Map();
    this.photo = newParts("figure", "tile photo", "");
    /** @type {HTMLElement[]} */
    this.shown = [];
  }

  /**
   * @param {MapPages} pages
   * @param {Photo} photo
   */
  show(pages, photo) {
    const [page] = pagesOf(pages, pages.maps.length); // a page in a browser has no end
    const { tiles, scales, strengths, sections } = page ?? { tiles: [], scales: [], strengths: null, sections: [] };
    const perRow = rowsOf(pages, true);
    this.place.classList.toggle("has-sections", sections.length > 0);
    this.place.classList.toggle("brief", pages.brief);
    this.place.style.setProperty("--columns", String(columnsOf(pages, photo, sections)));
    // So that the names begin at one height.
    const firsts = tiles.slice(0, perRow ?? tiles.length);
    this.place.style.setProperty("--lines", String(Math.max(1, ...firsts.map(({ lines }) => lines.length))));
    this.showPhoto(photo, sections.length > 0);
    const places = sections.flatMap((section) =>
      Array.from({ length: section.count }, (_, at) => ({ section, isFirst: at === 0, isLast: at === section.count - 1 })),
    );
    // Where a row ends is up to the browser: what is beside one of its name may begin one.
    const shortly = namedOnce(tiles, pages.brief, () => 0);
    this.shown = tiles.map((tile, index) => {
      const parts = this.partsOf(tile);
      // Where rows are of the same outputs, only the first has headings, and says their sizes.
      const isBelow = perRow !== null && index >= perRow;
      const texts = isBelow ? { ...tile, lines: tile.lines.slice(-1) } : shortly[index];
      const { section, isFirst, isLast } = places[index % places.length] ?? { section: null, isFirst: false, isLast: true };
      const isHeaded = isFirst && !isBelow;
      setHeading(parts, isHeaded ? section : null, section !== null && !isBelow, isLast);
      parts.name.classList.toggle("again", shortly[index] !== tile);
      parts.tile.classList.toggle("row-start", Boolean(perRow && index && index % perRow === 0));
      fill(parts, texts, pages, { scale: scales[index], strength: strengths && strengths[index] }, photo);
      // What is said once above several tiles, for one who hears each by itself.
      const { name: stage, beside } = section && !isHeaded ? headingOf(section) : { name: "", beside: "" };
      parts.unseen.textContent = `${stage} ${beside}`.trim();
      return parts.tile;
    });
    const wanted = [this.photo.tile, ...this.shown];
    const there = this.place.children;
    const same = there.length === wanted.length && wanted.every((tile, index) => there[index] === tile);
    if (!same) this.place.replaceChildren(...wanted);
  }

  /**
   * @param {Photo} photo
   * @param {boolean} hasSections
   */
  showPhoto({ seen, name, detail }, hasSections) {
    paint(this.photo.canvas, coloursOfPhoto(seen));
    this.photo.name.textContent = name;
    this.photo.details.replaceChildren(lineOf(detail));
    setHeading(this.photo, hasSections ? PHOTO_SECTION : null, hasSections, true);
  }

  /** @param {Tile} tile */
  partsOf({ name, map }) {
    const key = JSON.stringify([name, map.part]);
    let found = this.parts.get(key);
    if (!found) {
      const made = newParts("button", "tile", name);
      Object.assign(made.tile, { type: "button", title: name });
      made.tile.addEventListener("click", () => this.open(this.shown.indexOf(made.tile)));
      this.parts.set(key, made);
      found = made;
    }
    return found;
  }
}

/**
 * How many columns the saved picture has.
 * @param {MapPages} pages
 * @param {Photo} photo
 * @param {Section[]} sections
 */
function columnsOf(pages, { seen }, sections) {
  const perRow = rowsOf(pages, true);
  if (perRow) return 1 + perRow;
  const { maps, kind } = pages;
  /** @type {[number, number][]} */
  const shapes = [seen, ...maps].map(({ height, width }) => [height, width]);
  const groups = sections.length ? [1, ...sections.map(({ count }) => count)] : [];
  return arranged(shapes, { kind, groups }, shapes.length, LINES).columns;
}

/**
 * @param {"button" | "figure"} tag
 * @param {string} className
 * @param {string} text the name
 * @returns {Parts}
 */
function newParts(tag, className, text) {
  const heading = make("span", { className: "section" });
  const name = named(text, "name");
  const details = make("span", { className: "details" });
  const canvas = make("canvas");
  const range = make("span", { className: "range" });
  const titles = make("span", { className: "titles" }, [name, details]);
  const unseen = make("span", { className: "unseen" });
  const tile = make(tag, { className }, [heading, titles, canvas, range, unseen]);
  return { tile, heading, name, details, canvas, range, unseen };
}

/**
 * What is said above several tiles, above the first of them.
 * @param {Parts} parts
 * @param {Section | null} section that begins here
 * @param {boolean} isInside whether one does, or did before
 * @param {boolean} isLast of its section
 */
function setHeading({ tile, heading }, section, isInside, isLast) {
  tile.classList.toggle("in-section", isInside);
  tile.classList.toggle("goes-on", isInside && !isLast);
  if (!section) return heading.replaceChildren();
  const { name, beside } = headingOf(section);
  return heading.replaceChildren(make("b", { textContent: name }), ` ${beside}`);
}

/**
 * @param {Parts} parts
 * @param {Tile} tile
 * @param {MapPages} pages
 * @param {{ scale: ColourScale | null, strength: number | null }} how
 * @param {Photo} photo
 */
function fill({ tile, details, canvas, range }, { map, lines }, { style, brief }, { scale, strength }, { seen }) {
  details.replaceChildren(...lines.map(lineOf));
  if (strength !== null) details.lastChild?.appendChild(strengthBar(strength));
  paint(canvas, coloursOf(map, scale, style.overlay ? seen : null));
  tile.classList.toggle("smooth", Boolean(style.overlay));
  setRange(range, style.shared ? ownScale(map.values) : scale, map.values, { brief, bar: !style.shared });
}

/**
 * How wide a tile's range is, at the end of the last line above its map.
 * @param {number} part
 */
function strengthBar(part) {
  const filled = make("i");
  filled.style.width = `${Math.round(100 * part)}%`;
  return make("span", { className: "strength", "aria-hidden": "true" }, [filled]);
}

/**
 * A line below a name, of which the word that is unusual stands out by its colour: where there isn't room for all, what is
 * before it is cut.
 * @param {string} text
 */
function lineOf(text) {
  const parts = remarked(text)
    .filter(Boolean)
    .map((part) => make("span", { className: Object.hasOwn(REMARKS, part) ? part : "", textContent: part }));
  return make("span", { className: "detail" }, parts);
}
