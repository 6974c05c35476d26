// The maps of some outputs, all that show something new, and what is said of them: `grid_pages` of
// `runtime/maps/feature_grid.py`. The few of a model that say the most are `overview.js`.

import { UsageError } from "../errors.js";
import { hasMap } from "./channels.js";
import { WEAK, badged, worthDrawing } from "./feature_maps.js";
import { badgeNotes, explained, hueNotes, leftOutNotes, tokenNotes, usualReduction } from "./footer.js";
import { areWeak, withTurnedHues } from "./likeness.js";
import { OUTPUT_PAGE } from "./tile_places.js";

/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/** @typedef {import("./map_page.js").MapPages} MapPages */

/**
 * The pages of maps that were read one by one; those that show nothing are named below them.
 * @param {FeatureMap[]} maps
 * @param {any[]} outputs of a manifest
 * @param {import("./colour_scales.js").GridStyle} style
 * @returns {MapPages}
 * @throws {UsageError} none shows anything
 */
export function gridPages(maps, outputs, style) {
  const found = worthDrawing(maps, { aliases: style.aliases, shared: style.shared });
  if (!found.maps.length) refuseBlank(outputs, found.leftOut);
  const weak = areWeak(found.maps);
  const drawn = withTurnedHues(marked(found.maps)).map((map, index) => (weak[index] ? badged(map, WEAK) : map));
  return {
    maps: drawn,
    style,
    kind: OUTPUT_PAGE,
    lead: "",
    opening: explained(drawn),
    closing: [...badgeNotes(drawn), ...hueNotes(drawn), ...tokenNotes(outputs), ...leftOutNotes(found.leftOut)],
    facts: [],
    brief: false,
  };
}

/**
 * Say that there is nothing to draw.
 * @param {any[]} outputs
 * @param {import("./feature_maps.js").ByReason} leftOut
 * @returns {never}
 * @throws {UsageError} always
 */
export function refuseBlank(outputs, leftOut) {
  const nothing = `Nothing to draw: none of the ${outputs.length} outputs has a height and a width.`;
  if (!outputs.some(hasMap)) throw new UsageError(nothing);
  throw new UsageError(`Nothing to draw of the ${outputs.length} outputs: ${leftOutNotes(leftOut).join(" ")}`);
}

/**
 * The maps, with the reduction as a badge of those that have another than usual.
 * @param {FeatureMap[]} maps
 * @returns {FeatureMap[]}
 */
export function marked(maps) {
  const usual = usualReduction(maps);
  return maps.map((map) => (map.reduction === usual ? map : badged(map, map.reduction)));
}
