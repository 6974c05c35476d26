// An overview of a model: the few of its maps that say the most, on one page; the order of the steps, which is that of
// `runtime/maps/overview.py`. Which blocks it is of is decided in `blocks.js`, what looks alike in `thinning.js`.

import {
  branchNames,
  numberedPaths,
  ofWholeBlocks,
  residualBlocks,
  withBranchEnds,
  withoutPreactivations,
} from "./blocks.js";
import { hasMap } from "./channels.js";
import { marked, refuseBlank } from "./feature_grid.js";
import { isFurtherComponent, isWeak, worthDrawing } from "./feature_maps.js";
import {
  badgeNotes,
  drawnCounts,
  explained,
  frameNotes,
  hueNotes,
  leftOutNotes,
  overviewExplained,
  signNotes,
  tokenNotes,
} from "./footer.js";
import { aligned, steadiness, withTurnedHues } from "./likeness.js";
import { scalesOfPages } from "./map_page.js";
import { readMap, readParts } from "./map_reading.js";
import { extraChannels, inParts } from "./parts.js";
import { AUTO, AUTO_ORDER } from "./reductions.js";
import { landmarks, withStages, withoutPoolings } from "./stages.js";
import { takeaway } from "./takeaway.js";
import {
  MOST_SHOWN,
  differing,
  meansSayLittle,
  strongestAndLast,
  withBranches,
  withoutCheckerboards,
} from "./thinning.js";
import { OVERVIEW_PAGE } from "./tile_places.js";

/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */
/** @typedef {import("./feature_maps.js").LeftOut} LeftOut */
/** @typedef {import("./feature_maps.js").ByReason} ByReason */
/** @typedef {import("./likeness.js").Picture} Picture */
/** @typedef {{ width: number, height: number, data: ArrayLike<number> }} Pixels H W 3 */
/** An output of a manifest. @typedef {any} Output */
/**
 * @typedef {object} OfMaps what the maps come from
 * @property {boolean} hasChannels whether there are tensors, and not their means alone
 * @property {(outputs: Output[], reduce: string) => Promise<FeatureMap[]>} maps of each output its map
 */
/** @typedef {OfMaps & import("./parts.js").PartSource} MapSource */
/**
 * @typedef {object} Draft what is drawn, and why the other outputs aren't: each of them is in one place
 * @property {FeatureMap[]} maps
 * @property {ByReason} leftOut
 * @property {Map<string, FeatureMap[]>} alike by what is drawn: those that look like it
 */

/** Maps, of which fewer leave room for the branches of blocks. */
const FEWEST = 3;
/** Why an overview leaves out what another page draws. @type {LeftOut[]} */
const THINNED = ["inside", "preactivation", "similar", "pooling", "noise", "checkerboard", "weak"];

/**
 * The pages of an overview: of many outputs one page.
 * @param {MapSource} source
 * @param {Output[]} outputs of a manifest
 * @param {import("./colour_scales.js").GridStyle} style
 * @param {Pixels | null} seen what the model saw of the photo
 * @returns {Promise<import("./map_page.js").MapPages>}
 * @throws {import("../errors.js").UsageError} no output shows anything
 */
export async function overviewPages(source, outputs, style, seen) {
  const [reduce, shared] = [style.reduce ?? AUTO, Boolean(style.shared)];
  let maps = await source.maps(outputs, reduce);
  const isFree = reduce === AUTO && source.hasChannels;
  const shown = (/** @type {Output[]} */ some) => worthDrawing(mapsOf(maps, some), { shared }).maps.length;
  const { blocks, depth } = ofWholeBlocks(outputs, shown);
  const few = depth > 0 || shown(outputs) > MOST_SHOWN;
  let some = few ? withoutPreactivations(blocks, outputs) : blocks;
  const branches = depth ? withBranchEnds(some, outputs) : some;
  if (depth && isFree && meansSayLittle(mapsOf(maps, some))) {
    maps = await source.maps(branches, AUTO_ORDER[AUTO_ORDER.length - 1]);
  }
  /** @type {import("./thinning.js").Room} */
  const room = { taken: seen ? 1 : 0, columns: style.columns ?? null };
  let draft = drafted(maps, some, few ? room : null, shared);
  if (draft.maps.length < FEWEST && branches.length > some.length) {
    // In a fresh ConvNeXt, the sums are their inputs.
    const more = drafted(maps, branches, room, shared);
    if (more.maps.length > draft.maps.length) [some, draft] = [branches, more];
  }
  if (few && isFree) leaveOutTheMiddle(draft);
  account(draft, outputs, blocks, some);
  const numbered = numberedPaths(some.filter(hasMap).map((output) => output.module_path));
  const stages = few ? withStages(draft.maps, depth ? numbered.size : 0) : draft.maps;
  const byName = new Map(outputs.map((output) => [output.name, output]));
  const parts = few && isFree ? await inParts(source, byName, stages) : stages;
  const drawn = few ? aligned(parts, seen && brightnessOf(seen)) : parts;
  const isThinned = THINNED.some((kind) => kind in draft.leftOut);
  const pages = {
    maps: drawn,
    style,
    kind: OVERVIEW_PAGE,
    lead: "",
    opening: isThinned ? overviewExplained(drawn, depth) : explained(drawn),
    closing: [
      ...badgeNotes(drawn),
      ...(few ? signNotes(drawn) : []),
      ...hueNotes(drawn),
      ...frameNotes(drawn),
      ...drawnCounts(drawn, outputs.length, draft.leftOut),
    ],
    facts: [...tokenNotes(outputs), ...leftOutNotes(draft.leftOut)],
    brief: true,
    perRow: drawn.some(isFurtherComponent) ? stages.length : null,
  };
  return few ? { ...pages, lead: takeaway(drawn, draft.alike, seen && channelsOf(seen), scalesOfPages(pages)) } : pages;
}

/**
 * The source of maps whose tensors are all there.
 * @param {import("../session.js").Tensors} tensors by output
 * @returns {MapSource}
 */
export const tensorSource = (tensors) => ({
  hasChannels: true,
  maps: async (outputs, reduce) => outputs.map((output) => readMap(tensors.get(output.name), output, reduce)),
  parts: async (outputs, maps) => outputs.map((output, index) => readParts(tensors.get(output.name), output, maps[index])),
});

/**
 * @param {Pixels} seen
 * @returns {Picture[]}
 */
function channelsOf({ width, height, data }) {
  return [0, 1, 2].map((colour) => {
    const values = Float64Array.from({ length: width * height }, (_, pixel) => data[3 * pixel + colour]);
    return { values, width, height };
  });
}

/**
 * The brightness of a photo, before which no map comes.
 * @param {Pixels} seen
 * @returns {Picture}
 */
function brightnessOf(seen) {
  const [red, green, blue] = channelsOf(seen).map(({ values }) => values);
  return { ...seen, values: Float64Array.from(red, (value, at) => (value + green[at] + blue[at]) / 3) };
}

/**
 * Some outputs' maps without what says little beside the others.
 * @param {FeatureMap[]} maps
 * @param {Output[]} outputs
 * @param {import("./thinning.js").Room | null} room null where all have room
 * @param {boolean} shared
 * @returns {Draft}
 */
function drafted(maps, outputs, room, shared) {
  const of = mapsOf(maps, outputs);
  const { maps: even, boards } = room ? withoutCheckerboards(of) : { maps: of, boards: [] };
  const { maps: some, pooled } = withoutPoolings(even);
  const stay = room ? landmarks(some.filter((map) => map.leftOut === null)) : new Set();
  const found = worthDrawing(some, { shared, stay });
  if (!found.maps.length) refuseBlank(outputs, found.leftOut);
  let { maps: drawn, weak } = strongestAndLast(marked(found.maps));
  const sums = room ? residualBlocks(outputs) : new Set();
  if (sums.size) {
    const branches = branchNames(outputs, sums);
    // The signal doesn't fade where a branch adds little to it.
    const isFaint = (/** @type {FeatureMap} */ map) => isWeak(map) && branches.has(map.name);
    weak = [...weak, ...drawn.filter(isFaint).map((map) => map.name)];
    drawn = drawn.filter((map) => !isFaint(map));
  }
  const apart = differing(drawn, room && { ...room, taken: room.taken + extraChannels(drawn) }, stay);
  const twins = [...apart.twins.keys()];
  const noise = twins.filter((name) => apart.noise.has(name));
  const similar = twins.filter((name) => !apart.noise.has(name));
  const turned = withTurnedHues(apart.maps);
  return {
    maps: withBranches(turned, found.repeats, outputs, sums),
    leftOut: filled({ ...found.leftOut, similar, pooling: pooled, noise, checkerboard: boards, weak }),
    alike: lookAlikes(drawn, apart.twins, found.repeats),
  };
}

/**
 * What is left out, less the reasons that nothing has.
 * @param {ByReason} leftOut
 * @returns {ByReason}
 */
const filled = (leftOut) => Object.fromEntries(Object.entries(leftOut).filter(([, names]) => names.length));

/**
 * What looks like each map that is drawn, also what repeats one of those.
 * @param {FeatureMap[]} maps
 * @param {Map<string, string>} twins
 * @param {[FeatureMap, FeatureMap][]} repeats
 */
function lookAlikes(maps, twins, repeats) {
  /** @type {Map<string, FeatureMap[]>} */
  const found = new Map();
  const add = (/** @type {string} */ name, /** @type {FeatureMap} */ map) =>
    found.set(name, [...(found.get(name) ?? []), map]);
  for (const map of maps) {
    const twin = twins.get(map.name);
    if (twin !== undefined) add(twin, map);
  }
  for (const [map, other] of repeats) add(twins.get(other.name) ?? other.name, map);
  return found;
}

/**
 * Leave of components that hardly change from block to block the first and the last, beside which others fit.
 * @param {Draft} draft
 */
function leaveOutTheMiddle(draft) {
  const [first, last] = [draft.maps[0], draft.maps[draft.maps.length - 1]];
  if (draft.maps.length < FEWEST || last.share === null) return;
  const between = draft.maps.slice(1, -1);
  const others = [...[...draft.alike.values()].flat(), ...between];
  if (steadiness([first, ...others, last]) === null) return;
  draft.maps = [first, last];
  draft.alike = new Map([[last.name, others]]);
  draft.leftOut.similar = [...(draft.leftOut.similar ?? []), ...between.map(({ name }) => name)];
}

/**
 * Add to what is left out the outputs that aren't among those of which the overview is, so that the counts close.
 * @param {Draft} draft of the overview
 * @param {Output[]} outputs all
 * @param {Output[]} blocks of whole blocks
 * @param {Output[]} some of which the overview is
 */
function account(draft, outputs, blocks, some) {
  const [whole, names] = [blocks, some].map((each) => new Set(each.map(({ name }) => name)));
  for (const each of outputs) {
    if (names.has(each.name)) continue;
    const why = !hasMap(each) ? "flat" : whole.has(each.name) ? "preactivation" : "inside";
    (draft.leftOut[why] ??= []).push(each.name);
  }
}

/**
 * @param {FeatureMap[]} maps
 * @param {Output[]} outputs
 */
function mapsOf(maps, outputs) {
  const names = new Set(outputs.map((output) => output.name));
  return maps.filter((map) => names.has(map.name));
}
