// A photo as the model wants it: torchvision's Resize, CenterCrop, ToTensor and Normalize, to the bit as
// runtime/runs/preprocessing.py computes them with Pillow and NumPy.

import { ArtifactError, UsageError } from "./errors.js";
import { refuseTooLarge, toGrey, toRgb } from "./photo.js";
import { resize } from "./resize.js";
import { roundHalfEven, shapeWords } from "./tensor.js";

/** @typedef {import("./manifest.js").Manifest} Manifest */
/** @typedef {import("./manifest.js").Preprocessing} Preprocessing */
/** @typedef {import("./photo.js").Picture} Picture */
/** @typedef {import("./photo.js").Pixels} Pixels */
/** @typedef {import("./tensor.js").Tensor} Tensor */

/**
 * @typedef {object} Preprocessed
 * @property {Tensor} cropped what the model sees: uint8, H W 3
 * @property {Tensor} input what it is given, 1 C H W or 1 H W C: float32, normalised; uint8, the pixels themselves, where
 *   the model normalises them
 * @property {Picture} photo the whole photo, upright, RGB
 * @property {{left: number, top: number, right: number, bottom: number}} region of the photo that the model sees, in its
 *   pixels; it reaches beyond the photo where that is smaller than the crop
 */

/**
 * @param {Pixels} pixels
 * @param {Preprocessing} steps the manifest's, or for another size `imageInput(manifest, size).preprocessing`
 * @param {"NCHW" | "NHWC"} [layout] of the model's input
 * @returns {Preprocessed}
 * @throws {ImageError} there are no such pixels, or the resized picture or the crop would be too large
 */
export function preprocess(pixels, steps, layout = steps.layout) {
  const photo = toRgb(pixels);
  const picture = (steps.in_model ?? steps).mean?.length === 1 ? toGrey(photo) : photo;
  const [width, height] = resizedSize(photo, steps.resize);
  if (width !== photo.width || height !== photo.height) {
    const what = `An image of ${photo.width} x ${photo.height} pixels, resized so that its shorter side is ${steps.resize},`;
    refuseTooLarge(width, height, what);
  }
  const [cropHeight, cropWidth] = steps.crop;
  refuseTooLarge(cropWidth, cropHeight, "The crop of the preprocessing");
  const [left, top] = [cropStart(width, cropWidth), cropStart(height, cropHeight)];
  const inside = {
    left: Math.max(0, left),
    top: Math.max(0, top),
    width: Math.min(cropWidth, width),
    height: Math.min(cropHeight, height),
  };
  const found = resize(picture, width, height, steps.interpolation, inside);
  const cropped = padded(found, cropWidth, cropHeight, inside.left - left, inside.top - top);
  const [across, down] = [photo.width / width, photo.height / height];
  return {
    cropped: { dtype: "uint8", shape: [cropHeight, cropWidth, 3], data: toRgb(cropped).data.slice() },
    input: inputOf(cropped, steps, layout),
    photo,
    region: {
      left: left * across,
      top: top * down,
      right: (left + cropWidth) * across,
      bottom: (top + cropHeight) * down,
    },
  };
}

/**
 * The input that takes images, and how a photo is preprocessed for it.
 *
 * @param {Manifest} manifest
 * @param {[height: number, width: number]} [size] in pixels, instead of those that the model was exported with
 * @returns {{name: string, preprocessing: Preprocessing}}
 * @throws {ArtifactError} the artifact isn't for images
 * @throws {UsageError} the model doesn't take images of this size
 */
export function imageInput(manifest, size) {
  const [{ name, shape }] = manifest.inputs;
  const steps = manifest.preprocessing;
  if (!steps || manifest.inputs.length !== 1) {
    const takes = manifest.inputs.map((each) => `${each.name} (${shapeWords(each.shape)}, ${each.dtype})`).join(", ");
    throw new ArtifactError(`${manifest.model} was not exported for images; it takes ${takes}.`);
  }
  if (!size || (size[0] === steps.crop[0] && size[1] === steps.crop[1])) return { name, preprocessing: steps };
  const first = steps.layout.indexOf("H");
  if (!shape.slice(first, first + 2).every((each) => typeof each === "string")) {
    throw new UsageError(
      `${manifest.model} takes images of ${steps.crop.join(" x ")} only, not ${size.join(" x ")}.\n` +
        "Export it with --dynamic-size, if the model allows that, or with another --input-size.",
    );
  }
  // By the longer side, so that the resized photo covers the crop in portrait and in landscape.
  const longer = roundHalfEven((steps.resize * Math.max(...size)) / Math.max(...steps.crop));
  return { name, preprocessing: { ...steps, crop: [size[0], size[1]], resize: longer } };
}

/**
 * @param {{width: number, height: number}} photo
 * @param {number} shorter what the shorter side becomes, in pixels
 * @returns {[width: number, height: number]} of the resized photo; the longer side is rounded down, as in torchvision
 */
function resizedSize({ width, height }, shorter) {
  const longer = Math.trunc((shorter * Math.max(width, height)) / Math.min(width, height));
  return width <= height ? [shorter, longer] : [longer, shorter];
}

/**
 * @param {number} size of the picture along an axis
 * @param {number} crop
 * @returns {number} where the crop starts; negative means padding, whose odd pixel torchvision puts at the end
 */
function cropStart(size, crop) {
  return size >= crop ? roundHalfEven((size - crop) / 2) : 0 - Math.floor((crop - size) / 2);
}

/**
 * @param {Picture} picture
 * @param {number} width
 * @param {number} height
 * @param {number} left where the picture is in the result
 * @param {number} top
 * @returns {Picture} on black
 */
function padded(picture, width, height, left, top) {
  if (width === picture.width && height === picture.height) return picture;
  const { channels } = picture;
  const data = new Uint8Array(width * height * channels);
  const length = picture.width * channels;
  for (let y = 0; y < picture.height; y++) {
    data.set(picture.data.subarray(y * length, (y + 1) * length), ((top + y) * width + left) * channels);
  }
  return { width, height, channels, data };
}

/**
 * @param {Picture} picture
 * @param {Preprocessing} steps
 * @param {"NCHW" | "NHWC"} layout
 * @returns {Tensor}
 */
function inputOf({ width, height, channels, data }, { mean, std }, layout) {
  const size = width * height;
  const [perPixel, perChannel] = layout === "NCHW" ? [1, size] : [channels, 1];
  const input = mean && std ? new Float32Array(size * channels) : new Uint8Array(size * channels);
  for (let channel = 0; channel < channels; channel++) {
    const table = mean && std && normalised(mean[channel], std[channel]);
    for (let pixel = 0; pixel < size; pixel++) {
      const value = data[pixel * channels + channel];
      input[pixel * perPixel + channel * perChannel] = table ? table[value] : value;
    }
  }
  const shape = layout === "NCHW" ? [1, channels, height, width] : [1, height, width, channels];
  return { dtype: mean && std ? "float32" : "uint8", shape, data: input };
}

/**
 * @param {number} mean
 * @param {number} std
 * @returns {Float32Array} what each of the 256 values becomes: rounded to float32 after each step, as NumPy does it
 */
function normalised(mean, std) {
  return Float32Array.from({ length: 256 }, (_, value) => {
    const centred = Math.fround(Math.fround(value / 255) - Math.fround(mean));
    return centred / Math.fround(std);
  });
}
