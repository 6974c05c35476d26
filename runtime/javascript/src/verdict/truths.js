// reference.safetensors -> the recorded inputs of an artifact, and the float64 truth of each output (artifacts/README.md).

import { ArtifactError } from "../errors.js";
import { parseJson } from "../json.js";
import { readSafetensors } from "../safetensors.js";
import { SAMPLE_LIMIT, samplePlaces } from "../sample.js";
import { sizeOf } from "../tensor.js";

/** @typedef {import("../tensor.js").Tensor} Tensor */
/** @typedef {import("../float64/values.js").Values} Values */
/** @typedef {Float64Array | Float32Array} Numbers */

/**
 * @typedef {object} Truth what is known about one output for a recorded input
 * @property {Float64Array} sample of the float64 result, at `samplePlaces`
 * @property {readonly number[]} shape of the whole tensor
 * @property {number} scale its largest absolute value
 * @property {number} noiseFloor eager float32's largest error on the sample, divided by `scale`
 * @property {number} nonfinite how many elements of eager float32's tensor are NaN or infinite
 * @property {number} nonfiniteInFloat64 how many are so in float64: the model itself is. 0 where that isn't known
 * @property {Float64Array | null} channels 5 C: mean, root mean square, minimum, maximum, eager float32's largest error;
 *     null where the sample is the whole tensor
 * @property {number | null} channelAxis null: the tensor counts as one channel
 */

/**
 * @typedef {object} Reference
 * @property {string} name `noise`, `a photo`, ...
 * @property {Map<string, Tensor>} inputs
 * @property {Map<string, Truth>} truths by output
 * @property {Map<string, string[]>} untried by output, what this input leaves untried of it
 * @property {Map<string, number[]>} zeroChannels
 */

/**
 * @param {Uint8Array} bytes
 * @returns {Reference[]}
 * @throws {ArtifactError} it isn't a reference
 */
export function readReferences(bytes) {
  try {
    const { tensors, metadata } = readSafetensors(bytes);
    const text = new TextEncoder().encode(metadata.get("layerprobe.reference") ?? "");
    const recorded = /** @type {any[]} */ (parseJson(text, 2 ** 26));
    if (!recorded.length) throw new Error("it records no input");
    return recorded.map((each, number) => ({
      name: String(each.name),
      inputs: withPrefix(tensors, `${number}/input:`),
      truths: new Map(
        Object.entries(each.outputs).map(([name, facts]) => [name, truthOf(tensors, number, name, facts)]),
      ),
      untried: new Map(Object.entries(each.untried ?? {})),
      zeroChannels: new Map(Object.entries(each.zero_channels ?? {})),
    }));
  } catch (error) {
    throw new ArtifactError(
      `The reference can't be read: ${/** @type {Error} */ (error).message}.\nExport the artifact again.`,
    );
  }
}

/** @param {Map<string, Tensor>} tensors @param {string} prefix @returns {Map<string, Tensor>} */
export function withPrefix(tensors, prefix) {
  return new Map(
    [...tensors].filter(([key]) => key.startsWith(prefix)).map(([key, tensor]) => [key.slice(prefix.length), tensor]),
  );
}

/**
 * @param {Map<string, Tensor>} tensors
 * @param {number} number
 * @param {string} name
 * @param {any} facts
 * @returns {Truth}
 */
function truthOf(tensors, number, name, facts) {
  const sample = tensors.get(`${number}/truth:${name}`),
    channels = tensors.get(`${number}/channels:${name}`);
  const { shape, scale, noise_floor: noiseFloor, nonfinite, channel_axis: axis = null } = facts;
  const { nonfinite_in_float64: nonfiniteInFloat64 = 0 } = facts;
  const size = sizeOf(shape);
  if (
    !(sample?.data instanceof Float64Array) ||
    !(sample.data.length === size || (sample.data.length > 0 && sample.data.length <= Math.min(size, SAMPLE_LIMIT)))
  ) {
    throw new Error(`the size of the truth of ${name} doesn't match its shape`);
  }
  const numbers = [scale, noiseFloor, nonfinite, nonfiniteInFloat64];
  const known = numbers.every((each) => Number.isFinite(each) && each >= 0) && scale > 0;
  const wide = axis === null ? 1 : shape[axis];
  if (!known || (channels && (!(channels.data instanceof Float64Array) || channels.data.length !== 5 * wide))) {
    throw new Error(`the facts of ${name} don't match its shape`);
  }
  const statistics = channels ? /** @type {Float64Array} */ (channels.data) : null;
  const counts = { nonfinite, nonfiniteInFloat64 };
  return { sample: sample.data, shape, scale, noiseFloor, ...counts, channels: statistics, channelAxis: axis };
}

/** @param {Truth} truth @returns {Truth} of the sample alone, as of a flat tensor */
export const ofSample = (truth) => ({
  ...truth,
  shape: [truth.sample.length],
  nonfiniteInFloat64: 0, // how many of these are in the sample isn't known
  channels: null,
  channelAxis: null,
});

/** @type {Map<string, Float64Array>} the places of samples, most of which have the same sizes */
const PLACES = new Map();

/**
 * @param {Truth} truth
 * @param {Numbers} data of a tensor of its shape
 * @returns {Numbers} the elements that `sample` holds of the truth
 */
export function sampled(truth, data) {
  if (data.length === truth.sample.length) return data;
  const places = placesIn(truth),
    out = new Float64Array(places.length);
  for (let each = 0; each < out.length; each++) out[each] = data[places[each]];
  return out;
}

/** @param {Truth} truth @returns {Float64Array} the places of its sample in the flat tensor */
export function placesIn(truth) {
  const size = sizeOf(truth.shape),
    count = truth.sample.length,
    key = `${size} ${count}`;
  let places = PLACES.get(key);
  if (!places) {
    if (PLACES.size > 16) PLACES.clear();
    PLACES.set(key, (places = samplePlaces(size, count)));
  }
  return places;
}
