// The small photo inside an image artifact, with the pixels that its decoder must give and the input that it must
// become: whether decoding and preprocessing here are those of Python.

import { InputError } from "./errors.js";
import { toRgb } from "./photo.js";
import { preprocess } from "./preprocessing.js";
import { readSafetensors } from "./safetensors.js";
import { castFloat32 } from "./tensor.js";

/** @typedef {import("./artifact.js").Artifact} Artifact */
/** @typedef {import("./photo.js").Pixels} Pixels */
/** @typedef {import("./tensor.js").Elements} Elements */
/** @typedef {import("./tensor.js").Tensor} Tensor */

export const TEST_PHOTO = "test_photo.png";
const TEST_VECTORS = "test_vectors.safetensors";

/**
 * @typedef {object} Difference
 * @property {"pixels" | "cropped" | "input"} step the first that differs: decoding, resizing and cropping, normalising
 * @property {number} elements how many differ
 * @property {number} largest the largest difference; infinite where there are not as many elements
 */

/**
 * @typedef {object} PreprocessingCheck
 * @property {boolean} checked false where the artifact has no test vectors
 * @property {boolean} equal whether all is equal to the bit
 * @property {Difference | null} difference
 */

/**
 * @param {Artifact} artifact
 * @param {Pixels} [decoded] what the caller's decoder made of `test_photo.png` (`artifact.bytes("test_photo.png")`); if
 *   absent, only what comes after decoding is checked
 * @returns {Promise<PreprocessingCheck>}
 * @throws {ArtifactError} a file is missing or altered
 */
export async function checkPreprocessing(artifact, decoded) {
  const steps = artifact.manifest.preprocessing;
  if (!steps || !artifact.lists(TEST_VECTORS)) return { checked: false, equal: false, difference: null };
  const { tensors } = readSafetensors(await artifact.bytes(TEST_VECTORS));
  const expected = vectors(tensors, artifact.manifest.inputs[0].name);
  const [height, width] = expected.pixels.shape;
  const pixels = { width, height, channels: 3, data: /** @type {Uint8Array} */ (expected.pixels.data) };
  const found = preprocess(pixels, steps);
  const difference =
    (decoded && differing("pixels", toRgb(decoded).data, expected.pixels)) ??
    differing("cropped", inChannels(found.cropped, expected.cropped).data, expected.cropped) ??
    differing("input", asInput(found.input, expected.input).data, expected.input) ??
    null;
  return { checked: true, equal: difference === null, difference };
}

/**
 * @param {import("./tensor.js").Tensors} tensors
 * @param {string} input
 * @returns {{pixels: Tensor, cropped: Tensor, input: Tensor}}
 */
function vectors(tensors, input) {
  const [pixels, cropped, normalised] = [tensors.get("pixels"), tensors.get("cropped"), tensors.get(`input:${input}`)];
  const isPhoto = pixels?.dtype === "uint8" && pixels.shape.length === 3 && pixels.shape[2] === 3;
  if (!isPhoto || cropped?.dtype !== "uint8" || !normalised) {
    throw new InputError(`${TEST_VECTORS} has no pixels, cropped and input:${input}.\nExport the artifact again.`);
  }
  return { pixels, cropped, input: normalised };
}

/**
 * @param {Tensor} cropped H W 3
 * @param {Tensor} expected H W C
 * @returns {Tensor} of grey, one of the three equal channels
 */
function inChannels(cropped, expected) {
  if (expected.shape[2] !== 1) return cropped;
  const [height, width] = cropped.shape;
  return { dtype: "uint8", shape: [height, width, 1], data: cropped.data.filter((_, place) => place % 3 === 0) };
}

/**
 * @param {Tensor} input
 * @param {Tensor} expected in the model's own type
 * @returns {Tensor} rounded to that
 */
function asInput(input, { dtype }) {
  const isFloat = dtype === "float16" || dtype === "float64";
  return isFloat && input.dtype === "float32" ? castFloat32(input, dtype) : input;
}

/**
 * @param {Difference["step"]} step
 * @param {Elements} found
 * @param {Tensor} expected
 * @returns {Difference | undefined}
 */
function differing(step, found, { data }) {
  if (found.length !== data.length) return { step, elements: data.length, largest: Infinity };
  let [elements, largest] = [0, 0];
  for (let place = 0; place < found.length; place++) {
    // Of float16, in steps of its last bit.
    const distance = Math.abs(Number(found[place]) - Number(data[place]));
    if (distance !== 0) elements++;
    if (distance > largest) largest = distance;
  }
  return elements ? { step, elements, largest } : undefined;
}
