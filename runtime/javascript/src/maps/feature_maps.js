// What a map is and says of itself, and which are left out because they would show nothing new: the rules of
// `runtime/maps/feature_maps.py`. How a tensor becomes a map is in `map_reading.js`.

import { general, percent, withMinus } from "../number_words.js";
import { valueRange } from "./colour_maps.js";
import { REDUCTIONS } from "./reductions.js";

/**
 * @typedef {"inside" | "preactivation" | "repeat" | "similar" | "pooling" | "noise" | "checkerboard" | "weak" | "rounding" |
 *   "constant" | "point" | "flat"} LeftOut
 */
/** By why they aren't drawn, the outputs. @typedef {Partial<Record<LeftOut, string[]>>} ByReason */
/**
 * @typedef {object} FeatureMap what one tile shows
 * @property {string} name
 * @property {string} operation `Conv2d`; empty where the name says it
 * @property {string} path the module it ran in: neighbours of one block belong together
 * @property {number} height
 * @property {number} width
 * @property {Float64Array} values H W; empty where there is none
 * @property {number[]} size C H W of the tensor; empty for a channel
 * @property {string} reduction a row of `REDUCTIONS`; empty for a channel
 * @property {LeftOut | null} leftOut why it shows nothing, if it does
 * @property {string[]} badges what is unusual about it: `WEAK`, `BRANCH`, another reduction than most have, `+2 alike`
 * @property {number | null} share of a principal component: how much of the channels' variance it holds
 * @property {import("./principal_components.js").Hues | null} hues of the first principal component: the next two, if
 *   they are drawn as its hue
 * @property {string} part which of several maps of its tensor it is, if there are: `channel 0`, `PC2`
 * @property {string} stage of an overview: what the neighbours of its size are called, as of `withStages`
 */

/** Up to so many are each of a meaning of its own, as the classes of a U-Net: that a map is their mean is said. */
const FEW_CHANNELS = 3;
/** Of a map's range: two maps that nowhere differ by more look the same. */
const ALIKE = 0.02;
/** What is said of a map whose values hardly differ. */
export const FLAT_MAP = "flat";
/** What is said of a map whose padding is seen. */
export const FRAMED = "frame";
/** The badge of a map that hardly varies beside the others. */
export const WEAK = "faint";
/** The badge of what a block adds to its input, where the sum looks like the input. */
export const BRANCH = "branch";
export const FIRST_COMPONENT = "PC1";

/**
 * Why an output is not drawn, in the footer's words: of one, and of several.
 * @type {Record<LeftOut, [string, string]>}
 */
export const LEFT_OUT = {
  inside: ["is inside a block", "are inside blocks"],
  preactivation: ["precedes its activation", "precede their activation"],
  repeat: ["looks like another", "look like another"],
  similar: ["looks like a tile drawn", "look like tiles drawn"],
  pooling: ["is a tile pooled", "are tiles pooled"],
  noise: ["is noise like a tile drawn", "are noise like tiles drawn"],
  checkerboard: ["is a checkerboard", "are checkerboards"],
  weak: ["is weak, too", "are weak, too"],
  rounding: ["varies only by rounding", "vary only by rounding"],
  constant: ["is constant over the image", "are constant over the image"],
  point: ["has 1 × 1 pixel", "have 1 × 1 pixel"],
  flat: ["has no height and width", "have no height and width"],
};

/**
 * Whether it is the mean of channels of which each may have a meaning of its own.
 * @param {FeatureMap} map
 */
export const isMeanOfFew = ({ reduction, part, size }) =>
  reduction === "mean" && !part && size.length > 0 && size[0] >= 2 && size[0] <= FEW_CHANNELS;

/**
 * Whether it is a principal component; of one that isn't finite everywhere the share isn't known.
 * @param {FeatureMap} map
 */
export const isComponent = ({ reduction }) => Boolean(REDUCTIONS[reduction]?.components);

/**
 * Whether it is a principal component, and not the first.
 * @param {FeatureMap} map
 */
export const isFurtherComponent = ({ share, part }) => share !== null && part !== "" && part !== FIRST_COMPONENT;

/**
 * Whether it hardly varies beside the others.
 * @param {FeatureMap} map
 */
export const isWeak = ({ badges }) => badges.includes(WEAK);

/**
 * What else is to be said of it: `PC1 43 %`, `PC1–3 81 %`, `+2 alike`.
 * @param {FeatureMap} map
 * @returns {string[]}
 */
export function remarksOf(map) {
  const others = map.badges.filter((badge) => badge !== WEAK && badge !== BRANCH);
  if (map.share === null) return others;
  const { share: all, count } = map.hues ?? { share: 0, count: 1 };
  const shares = [`${map.part || FIRST_COMPONENT} ${percent(map.share)}`, ...(count > 1 ? [`PC1–${count} ${percent(all)}`] : [])];
  return [...shares, ...others.filter((badge) => badge !== map.reduction)];
}

/**
 * All of it in a line: `Conv2d · 64 × 56 × 56 · pca`.
 * @param {FeatureMap} map
 */
export const detailOf = ({ operation, size, badges }) =>
  [operation, sizeText(size), ...badges].filter(Boolean).join(" · ");

/**
 * A map with one more badge.
 * @param {FeatureMap} map
 * @param {string} badge
 * @returns {FeatureMap}
 */
export const badged = (map, badge) => ({ ...map, badges: [...map.badges, badge] });

/**
 * Return `64 × 56 × 56`.
 * @param {number[]} size
 */
export const sizeText = (size) => size.join(" × ");

/**
 * Whether two maps have one height and width.
 * @param {{ height: number, width: number }} one
 * @param {{ height: number, width: number }} other
 */
export const sameSize = (one, other) => one.height === other.height && one.width === other.width;

/**
 * The maps that show something new, what is left out, with what is to be said of it (`bn1 ≈ conv1`, `relu (0)`), and
 * each that looks like one that is drawn, with that one.
 * @param {FeatureMap[]} maps in the order of drawing
 * @param {object} [choices]
 * @param {boolean} [choices.aliases] whether to keep also those that look like an earlier one
 * @param {boolean} [choices.shared] whether all are drawn in one scale, in which twice the values are another picture
 * @param {Set<string>} [choices.stay] the names of those to keep although they look like an earlier one
 * @returns {{ maps: FeatureMap[], leftOut: ByReason, repeats: [FeatureMap, FeatureMap][] }}
 */
export function worthDrawing(maps, { aliases = false, shared = false, stay = new Set() } = {}) {
  /** @type {ReturnType<typeof worthDrawing>} */
  const found = { maps: [], leftOut: {}, repeats: [] };
  const pictures = new Pictures(shared);
  for (const map of maps) {
    let why = map.leftOut;
    let said = why === "constant" || why === "rounding" ? ` (${middleText(map)})` : "";
    if (!why && !aliases && !stay.has(map.name)) {
      const twin = pictures.like(map);
      if (twin) {
        [why, said] = ["repeat", ` ≈ ${twin.name}`];
        found.repeats.push([map, twin]);
      }
    }
    if (why) (found.leftOut[why] ??= []).push(map.name + said);
    else found.maps.push(map);
  }
  return found;
}

/** @param {FeatureMap} map */
function middleText(map) {
  const value = map.values[Math.floor(map.height / 2) * map.width + Math.floor(map.width / 2)];
  return withMinus(general(value + 0, 3));
}

/** What was drawn: each map, one of its pixels and all of them, by its size. */
class Pictures {
  /** @param {boolean} shared */
  constructor(shared) {
    this.shared = shared;
    /** @type {Map<string, { map: FeatureMap, middle: number, picture: Float64Array }[]>} */
    this.drawn = new Map();
  }

  /**
   * The earlier map that looks the same; null keeps this one.
   * @param {FeatureMap} map
   * @returns {FeatureMap | null}
   */
  like(map) {
    const [low, high] = valueRange(map.values) ?? [0, 0];
    const half = high / 2 - low / 2; // the range may be larger than the largest float64
    const picture = map.values.map((value) => (this.shared ? value / 2 : (value / 2 - low / 2) / (half || 1)));
    const apart = ALIKE * (this.shared ? half : 1);
    const middle = picture[Math.floor(map.height / 2) * map.width + Math.floor(map.width / 2)];
    const key = `${map.height} ${map.width}`;
    const drawn = this.drawn.get(key) ?? [];
    this.drawn.set(key, drawn);
    for (const each of drawn) {
      // Of most maps one pixel says it. A NaN is not apart.
      if (!(Math.abs(middle - each.middle) > apart) && alike(picture, each.picture, apart)) return each.map;
    }
    drawn.push({ map, middle, picture });
    return null;
  }
}

/**
 * @param {Float64Array} one
 * @param {Float64Array} other
 * @param {number} apart
 */
function alike(one, other, apart) {
  for (let index = 0; index < one.length; index++) {
    const [mine, theirs] = [one[index], other[index]];
    const same = mine === theirs || (Number.isNaN(mine) && Number.isNaN(theirs));
    if (!same && !(Math.abs(mine - theirs) <= apart)) return false;
  }
  return true;
}
