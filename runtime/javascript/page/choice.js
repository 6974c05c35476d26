// Which maps of a run are shown, by what the visitor chose, and what is said of them: the rules of `layerprobe grid`.

import { overviewScales, scalesOf } from "../src/maps/colour_scales.js";
import { worthDrawing } from "../src/maps/feature_maps.js";
import { explained, leftOutNotes, photoNotes, scaleNotes, tokenNotes } from "../src/maps/footer.js";
import { OUTPUT_PAGE } from "../src/maps/page_layout.js";
import { atDepth, deepestModule, sectionsOf } from "../src/maps/sections.js";

/** @typedef {import("../src/maps/feature_maps.js").FeatureMap} FeatureMap */
/** @typedef {import("../src/maps/colour_scales.js").ColourScale} ColourScale */
/**
 * @typedef {object} Chosen
 * @property {FeatureMap[]} maps
 * @property {(ColourScale | null)[]} scales of each
 * @property {string[]} sections of each
 * @property {string[]} notes what is said below them
 */

/** Tiles of an overview, which one looks through at a glance. */
const LEGIBLE = 32;
const OVERVIEW = "overview";
export const ALL = "all";

/**
 * What can be shown of a model: an overview of its blocks, all, or the blocks at one depth.
 * @param {any[]} outputs of the manifest
 * @returns {[value: string, text: string][]}
 */
export function depthOptions(outputs) {
  /** @type {[string, string][]} */
  const found = [
    [OVERVIEW, "an overview"],
    [ALL, `all ${outputs.length} outputs`],
  ];
  for (let depth = 1; depth <= Math.min(deepestModule(outputs), 6); depth++) {
    const count = atDepth(outputs, depth).length;
    if (count && count < outputs.length) found.push([String(depth), `blocks ${depth} deep (${count})`]);
  }
  return found;
}

/**
 * @param {FeatureMap[]} maps of all outputs, in their order
 * @param {any[]} outputs of the manifest
 * @param {any} style with `depth` and `filter`
 * @returns {Chosen}
 */
export function chosenMaps(maps, outputs, style) {
  const byName = new Map(maps.map((map) => [map.name, map]));
  const of = (/** @type {any[]} */ some, omitWeak = false) => {
    const found = some.flatMap((output) => byName.get(output.name) ?? []);
    return { some, ...worthDrawing(found, { aliases: style.aliases, shared: style.shared, omitWeak }) };
  };
  let found = of(outputs, style.depth === OVERVIEW && !style.filter);
  /** @type {string[]} */
  const opening = [];
  if (style.filter) {
    const wanted = style.filter.toLowerCase();
    found = of(outputs.filter((each) => `${each.name}\n${each.label}`.toLowerCase().includes(wanted)));
  } else if (style.depth === OVERVIEW) {
    const whole = found;
    for (
      let depth = 1, best = false;
      depth <= deepestModule(outputs) && whole.maps.length > OUTPUT_PAGE.mostTiles;
      depth++
    ) {
      const some = of(atDepth(outputs, depth), true);
      if (some.some.length === outputs.length || !some.maps.length) break;
      if (some.maps.length > OUTPUT_PAGE.mostTiles || (best && some.maps.length > LEGIBLE)) break;
      [found, best] = [some, true];
      opening[0] = `An overview: what each block returns, up to ${depth} deep. All ${whole.maps.length} maps: choose all outputs.`;
    }
  } else if (style.depth !== ALL) {
    found = of(atDepth(outputs, Number(style.depth)));
  }
  const isOverview = style.depth === OVERVIEW && !style.filter;
  const values = found.maps.map((map) => map.values);
  const scales = isOverview ? overviewScales(found.maps, style) : scalesOf(values, style);
  return {
    maps: found.maps,
    scales,
    sections: sectionsOf(found.maps.map((map) => map.path)),
    notes: [
      ...opening,
      ...(found.maps.length ? drawnNotes(found, scales, style, isOverview) : nothingNotes(style)),
      ...leftOutNotes(found.leftOut),
    ],
  };
}

/**
 * @param {{ maps: FeatureMap[], some: any[] }} found
 * @param {(ColourScale | null)[]} scales
 * @param {any} style
 * @param {boolean} isOverview
 */
function drawnNotes({ maps, some }, scales, style, isOverview) {
  const coloured = scaleNotes(scales, style, isOverview);
  return [...explained(maps), ...coloured, ...photoNotes(style.overlay), ...tokenNotes(some)];
}

/** @param {any} style */
function nothingNotes(style) {
  return [style.filter ? `No map's name or operation contains ${style.filter}.` : "Nothing to draw."];
}
