// Tensors by output to maps: one of each, or its channels or principal components; the rules of
// `runtime/maps/map_reading.py`. Which maps show something new is in `feature_maps.js`.

import { UsageError } from "../errors.js";
import { channelsOf, hasMap } from "./channels.js";
import { FIRST_COMPONENT } from "./feature_maps.js";
import { principalComponents } from "./principal_components.js";
import { AUTO, AUTO_ORDER, REDUCTIONS } from "./reductions.js";

/** @typedef {import("../tensor.js").Tensor} Tensor */
/** @typedef {import("./channels.js").Channels} Channels */
/** @typedef {import("./feature_maps.js").FeatureMap} FeatureMap */

/** Machine epsilons of the magnitude, up to which a map's range counts as rounding. */
const ROUNDING = 8;

/**
 * The map of one output, which may show nothing.
 * @param {Tensor | undefined} tensor the output's; needed where it has a height and a width
 * @param {any} output of a manifest
 * @param {string} [reduce] a row of `REDUCTIONS`, or auto
 * @param {number} [noise] of an output that is a mean already, how far it may be off by rounding
 * @returns {FeatureMap}
 * @throws {UsageError} the tensor is missing or contradicts the output, or a mean can't be reduced as requested
 */
export function readMap(tensor, output, reduce = AUTO, noise = 0) {
  const { name, module_path: path } = output;
  const plain = { name, path, badges: [], share: null, hues: null, part: "", stage: "" };
  if (!hasMap(output)) {
    const nothing = { height: 0, width: 0, values: new Float64Array(0), size: [], reduction: "" };
    return { ...plain, ...nothing, operation: output.label, leftOut: "flat" };
  }
  const channels = givenChannels(tensor, output);
  const { height, width } = channels;
  const isMean = output.averaged !== null && output.averaged !== undefined;
  if (isMean && reduce !== AUTO && reduce !== "mean") {
    throw new UsageError(
      `${name} is a mean over the channels already: it has no ${reduce}.\n` +
        "Draw the full probe's tensors: export without --no-full.",
    );
  }
  const size = [output.averaged ?? channels.channels, height, width];
  const order = isMean ? ["mean"] : reduce === AUTO ? AUTO_ORDER : [reduce];
  /** @type {FeatureMap | undefined} */
  let first;
  for (const reduction of order) {
    const row = REDUCTIONS[reduction];
    const parts = row.components?.(channels);
    const values = parts?.first ?? row.reduce(channels);
    const leftOut = showsNothing(values, channels, row, isMean, noise);
    const { share, hues } = parts && leftOut === null ? parts : plain;
    const map = { ...plain, operation: operationOf(output), height, width, values, size, reduction, leftOut };
    const found = { ...map, share, hues };
    if (leftOut !== "constant" && leftOut !== "rounding") return found;
    first ??= found;
  }
  return /** @type {FeatureMap} */ (first);
}

/**
 * The maps of an output of which `map` is one: where that is its first principal component, this and the next two; else
 * the map of each of its channels.
 * @param {Tensor | undefined} tensor
 * @param {any} output of a manifest
 * @param {FeatureMap} map
 * @returns {FeatureMap[]}
 */
export function readParts(tensor, output, map) {
  const given = givenChannels(tensor, output);
  if (map.share !== null) {
    const others = principalComponents(given).others.map((each, index) => ({ ...map, ...each, part: `PC${index + 2}` }));
    return [{ ...map, part: FIRST_COMPONENT }, ...others];
  }
  const { channels, height, width, data } = given;
  const pixels = height * width;
  return Array.from({ length: channels }, (_, index) => ({
    ...map,
    values: Float64Array.from(data.subarray(index * pixels, (index + 1) * pixels)),
    part: `channel ${index}`,
  }));
}

/**
 * @param {Tensor | undefined} tensor
 * @param {any} output
 */
function givenChannels(tensor, output) {
  if (!tensor) throw new UsageError(`There is no tensor for output ${output.name}.`);
  return channelsOf(tensor, output);
}

/**
 * @param {Float64Array} values
 * @param {Channels} tensor
 * @param {import("./reductions.js").Reduction} row
 * @param {boolean} isMean
 * @param {number} noise
 * @returns {import("./feature_maps.js").LeftOut | null}
 */
function showsNothing(values, tensor, row, isMean, noise) {
  if (values.length === 1) return "point";
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    if (Number.isNaN(value)) [low, high] = [NaN, NaN]; // a NaN is the lowest and the highest of all
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low === high && Number.isFinite(low)) return "constant"; // all of it infinite says something
  if (isMean) return high - low <= ROUNDING * noise ? "rounding" : null;
  if (!tensor.isFloat || !Number.isFinite(high - low)) return null;
  const largest = row.magnitude(tensor).reduce((most, value) => Math.max(most, value), 0);
  return high - low <= ROUNDING * tensor.epsilon * largest ? "rounding" : null;
}

/**
 * What a tile says of what computed it; nothing of an operation without a module of its own, whose label is its name.
 * @param {any} output
 */
function operationOf({ name, label }) {
  const lastPart = name.slice(name.lastIndexOf(".") + 1).replace(/_\d+$/, "");
  return lastPart === label ? "" : label;
}
