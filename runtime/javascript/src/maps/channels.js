// One output's tensor as channels of maps, C H W, for images and for the patches of a transformer: what
// `runtime/maps/channel_mean.py` is in Python. Ways to one map are in `reductions.js`.

import { UsageError } from "../errors.js";
import { numbers } from "../tensor.js";

/** @typedef {import("../tensor.js").Tensor} Tensor */
/** @typedef {{ before: number, height: number, width: number, after: number }} TokenGrid */
/**
 * @typedef {object} Channels
 * @property {number} channels C
 * @property {number} height H
 * @property {number} width W
 * @property {Float32Array | Float64Array} data C H W
 * @property {boolean} isFloat whether the tensor itself has a floating type
 * @property {number} epsilon machine epsilon of that type
 */

const CHANNEL_LAYOUTS = ["NCHW", "NHWC", "NLC"];
/** Machine epsilon by NumPy's name of a floating type. @type {Record<string, number>} */
const EPSILON = { float64: 2 ** -52, float32: 2 ** -23, float16: 2 ** -10, bfloat16: 2 ** -7 };

/**
 * Whether a tensor has a height and a width: as axes, or as the known grid of its tokens.
 * @param {{ layout: string, tokens?: TokenGrid | null }} output of a manifest
 */
export function hasMap(output) {
  return CHANNEL_LAYOUTS.includes(output.layout) && (output.layout !== "NLC" || Boolean(output.tokens));
}

/**
 * The batch's first image: N C H W, N H W C or N L C to C H W; tokens before and after the patches are left out.
 * @param {Tensor} tensor
 * @param {{ name: string, layout: string, tokens?: TokenGrid | null, dtype?: string }} output what its axes are
 * @returns {Channels} a view of `tensor` where possible
 * @throws {UsageError} the tensor contradicts the output, or has no height and width
 */
export function channelsOf(tensor, output) {
  const { layout, tokens } = output;
  if (!hasMap(output) || tensor.shape.length !== layout.length || tensor.data.length === 0) {
    throw new UsageError(
      `Output ${output.name}: a tensor of shape ${tensor.shape.join(" x ")} as ${layout} has no map.`,
    );
  }
  const data = asFloats(tensor);
  const of = { isFloat: tensor.dtype in EPSILON, epsilon: EPSILON[output.dtype ?? tensor.dtype] ?? 2 ** -23 };
  if (layout === "NCHW") {
    const [, channels, height, width] = tensor.shape;
    return { ...of, channels, height, width, data: data.subarray(0, channels * height * width) };
  }
  if (layout === "NLC" && tokens) {
    const [, length, channels] = tensor.shape;
    const { before, height, width, after } = tokens;
    if (before + height * width + after !== length) {
      throw new UsageError(
        `Output ${output.name} has ${length} tokens; the manifest says ${height} x ${width} patches.`,
      );
    }
    return { ...of, channels, height, width, data: channelsFirst(data, before * channels, height * width, channels) };
  }
  const [, height, width, channels] = tensor.shape;
  return { ...of, channels, height, width, data: channelsFirst(data, 0, height * width, channels) };
}

/**
 * @param {Float32Array | Float64Array} data pixels of channels
 * @param {number} start where the first pixel is
 * @param {number} pixels how many
 * @param {number} channels of each
 * @returns {Float32Array | Float64Array} channels of pixels
 */
function channelsFirst(data, start, pixels, channels) {
  const moved =
    data instanceof Float64Array ? new Float64Array(pixels * channels) : new Float32Array(pixels * channels);
  for (let pixel = 0, from = start; pixel < pixels; pixel++) {
    for (let channel = 0; channel < channels; channel++) moved[channel * pixels + pixel] = data[from++];
  }
  return moved;
}

/**
 * @param {Tensor} tensor
 * @returns {Float32Array | Float64Array}
 */
function asFloats(tensor) {
  const data = numbers(tensor);
  return data instanceof Float32Array || data instanceof Float64Array ? data : Float64Array.from(data);
}
