// What is written above a tile: a map's name, its operation and size, its share of variance, what is unusual. The words of
// `runtime/maps/tile_texts.py`; how it is drawn is in `tile.js`, what is said above several tiles in `sections.js`.

import { BRANCH, FLAT_MAP, FRAMED, WEAK, isFurtherComponent, isMeanOfFew, isWeak, remarksOf, sizeText } from "./feature_maps.js";
import { isFramed } from "./likeness.js";

/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/** @typedef {import("./sections.js").Section} Section */
/**
 * @typedef {object} Tile a map, and what is written above it
 * @property {FeatureMap} map
 * @property {string} name
 * @property {string[]} lines below its name: the operation and the size; what is unusual
 */

/**
 * The maps with their texts, less what is said above several of them.
 * @param {FeatureMap[]} maps
 * @param {Section[]} sections of all, or of the first row alone, if the others are of the same outputs
 * @param {boolean[]} flat which are said to be nearly constant
 * @returns {Tile[]}
 */
export function tilesOf(maps, sections, flat) {
  const around = sections.flatMap((section) => Array(section.count).fill(section));
  return maps.map((map, index) => tileOf(map, around[index % around.length] ?? null, flat[index]));
}

/**
 * A tile beside one of the same output, which says its name already.
 * @param {Tile} tile
 * @returns {Tile}
 */
export function withoutName({ map, lines }) {
  return { map, name: "", lines: lines.length ? [map.part, ...lines.slice(1)] : [] };
}

/**
 * @param {FeatureMap} map
 * @param {Section | null} section
 * @param {boolean} isFlat
 * @returns {Tile}
 */
function tileOf(map, section, isFlat) {
  const kind = map.badges.includes(BRANCH) ? BRANCH : "";
  const [size, remarks] = [joined(map.operation, sizeOf(map, section), kind), joined(...remarksOf(map))];
  const lines = (map.operation || map.hues || isFurtherComponent(map) ? [size, remarks] : [joined(size, remarks)]).filter(Boolean);
  const mark = isFlat ? FLAT_MAP : isWeak(map) ? WEAK : section && isFramed(map) ? FRAMED : "";
  const last = joined(lines[lines.length - 1] ?? "", mark);
  return { map, name: map.name, lines: [...lines.slice(0, -1), last].filter(Boolean) };
}

/**
 * What the section doesn't say of a map's size.
 * @param {FeatureMap} map
 * @param {Section | null} section
 */
function sizeOf(map, section) {
  if (map.part && map.share === null) return map.part;
  if (!section) return sizeText(map.size);
  if (isMeanOfFew(map)) return `mean of ${map.size[0]} ch`;
  return section.channels && !section.stage ? "" : `${map.size[0]} ch`;
}

/** @param {string[]} parts */
const joined = (...parts) => parts.filter(Boolean).join(" · ");
