// Which maps of a run are shown, by what the visitor chose: an overview, all, the blocks at one depth, or what was searched.

import { UsageError } from "../src/errors.js";
import { gridPages } from "../src/maps/feature_grid.js";
import { overviewPages } from "../src/maps/overview.js";
import { OUTPUT_PAGE } from "../src/maps/tile_places.js";
import { atDepth, deepestModule } from "../src/selection.js";

/** @typedef {import("../src/maps/feature_maps.js").FeatureMap} FeatureMap */
/** @typedef {import("../src/maps/map_page.js").MapPages} MapPages */
/**
 * @typedef {object} OfPage what the visitor chose
 * @property {string} reduce
 * @property {string} depth of `depthOptions`
 * @property {string} filter a part of a name or an operation
 * @property {boolean} [isFirst] whether what is there soon is enough for now
 * @property {boolean} [isLive] whether the camera runs, whose maps keep their tiles
 */
/** @typedef {import("../src/maps/colour_scales.js").GridStyle & OfPage} PageStyle */

export const OVERVIEW = "overview";
const ALL = "all";
const DEEPEST = 6;

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
  for (let depth = 1; depth <= Math.min(deepestModule(outputs), DEEPEST); depth++) {
    const count = atDepth(outputs, depth).length;
    if (count && count < outputs.length) found.push([String(depth), `blocks ${depth} deep (${count})`]);
  }
  return found;
}

/**
 * The maps of the last photo, in memory of their own: what is handed to the page is lost here. Where none shows anything,
 * the pages say why.
 * @param {import("./model_run.js").ModelRun} run
 * @param {PageStyle} style
 * @returns {Promise<MapPages>}
 */
export async function chosenPages(run, style) {
  const some = searched(run.artifact.manifest.outputs, style);
  try {
    const pages = await pagesOfSome(run, some, style);
    return { ...pages, maps: copiesOf(pages.maps) };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const why = some.length ? error.message : `No output's name or operation contains ${style.filter}.`;
    return { maps: [], style, kind: OUTPUT_PAGE, lead: "", opening: [], closing: [why], facts: [], brief: true };
  }
}

/**
 * Maps in memory of their own.
 * @param {FeatureMap[]} maps
 * @returns {FeatureMap[]}
 */
export function copiesOf(maps) {
  return maps.map(({ values, hues, ...others }) => ({
    ...others,
    values: values.slice(),
    hues: hues && { ...hues, plane: hues.plane.slice() },
  }));
}

/**
 * @param {import("./model_run.js").ModelRun} run
 * @param {any[]} outputs
 * @param {PageStyle} style
 */
async function pagesOfSome(run, outputs, style) {
  // Python's overview hides look-alikes, and --aliases draws a whole grid, too.
  if (style.depth === OVERVIEW && !style.filter && !style.aliases) {
    const pages = await overviewPages(run, outputs, style, run.seen);
    const lead = [pages.lead, await run.topClass()].filter(Boolean).join(" ");
    return { ...pages, lead };
  }
  return gridPages(await run.maps(outputs, style.reduce), outputs, style);
}

/**
 * @param {readonly any[]} outputs
 * @param {PageStyle} style
 * @returns {any[]}
 */
function searched(outputs, { filter, depth }) {
  const wanted = filter.toLowerCase();
  if (wanted) return outputs.filter((each) => `${each.name}\n${each.label}`.toLowerCase().includes(wanted));
  return depth === OVERVIEW || depth === ALL ? [...outputs] : atDepth([...outputs], Number(depth));
}
