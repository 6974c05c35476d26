// A map over the photo that it is of, which shows where in the photo a layer responds: `map_over_photo` of
// `runtime/maps/photo.py`. The photo is grey, so that every colour is the map's own; the map's values are interpolated,
// not their colours.

import { colourMapImage, valueRange } from "./colour_maps.js";

/** Of the map's colours. */
const STRENGTH = 0.6;
/** ITU-R BT.601, as of Pillow's grey. */
const LUMA = [0.299, 0.587, 0.114];

/**
 * @param {{ width: number, height: number, data: Uint8Array }} photo H W 3: what the model saw
 * @param {{ width: number, height: number, values: ArrayLike<number> }} map of any size; it covers the whole of `photo`
 * @param {import("./colour_maps.js").ColourTable} table
 * @param {[number, number] | null} [ends] the values of the lowest and the highest colour; by default the map's own
 * @returns {Uint8ClampedArray<ArrayBuffer>} H W 4, of the photo's size
 */
export function mapOverPhoto(photo, map, table, ends = null) {
  const image = colourMapImage(resizedMap(map, photo, ends), table, [0, 1]);
  for (let pixel = 0; pixel < photo.width * photo.height; pixel++) {
    const at = 3 * pixel;
    const grey = photo.data[at] * LUMA[0] + photo.data[at + 1] * LUMA[1] + photo.data[at + 2] * LUMA[2];
    for (let colour = 0; colour < 3; colour++) {
      const to = 4 * pixel + colour;
      image[to] = grey * (1 - STRENGTH) + image[to] * STRENGTH; // a clamped array rounds half to even
    }
  }
  return image;
}

/**
 * A map as positions between its ends, 0 to 1, in another size; NaN where its nearest pixel isn't finite.
 * @param {{ width: number, height: number, values: ArrayLike<number> }} map
 * @param {{ width: number, height: number }} size
 * @param {[number, number] | null} ends
 */
function resizedMap(map, size, ends) {
  const [low, high] = ends ?? valueRange(map.values) ?? [0, 0];
  const half = high / 2 - low / 2 || 1; // the range may be larger than the largest float64
  const positions = new Float32Array(map.values.length);
  let whole = true;
  for (let index = 0; index < positions.length; index++) {
    const value = map.values[index];
    whole &&= Number.isFinite(value);
    positions[index] = Number.isFinite(value) ? Math.min(Math.max((value / 2 - low / 2) / half, 0), 1) : 0;
  }
  const across = resampled(positions, map.height, map.width, size.width, 1, map.width);
  const found = resampled(across, size.width, map.height, size.height, size.width, 1);
  if (whole) return found;
  for (let y = 0; y < size.height; y++) {
    const row = Math.floor(((y + 0.5) * map.height) / size.height) * map.width;
    for (let x = 0; x < size.width; x++) {
      const nearest = map.values[row + Math.floor(((x + 0.5) * map.width) / size.width)];
      if (!Number.isFinite(nearest)) found[y * size.width + x] = NaN;
    }
  }
  return found;
}

/**
 * One pass of Pillow's bilinear resize of float32 pixels: along the rows (`step` 1), or along the columns.
 * @param {Float32Array} values
 * @param {number} lines how many rows, or columns
 * @param {number} from the length of each
 * @param {number} to its new length
 * @param {number} step from one element of a line to the next
 * @param {number} stride from one line to the next
 */
function resampled(values, lines, from, to, step, stride) {
  const along = step === 1;
  const [newStep, newStride] = along ? [1, to] : [step, 1];
  const found = new Float32Array(lines * to);
  const scale = from / to;
  const spread = Math.max(scale, 1);
  for (let index = 0; index < to; index++) {
    const centre = (index + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - spread + 0.5), 0);
    const last = Math.min(Math.trunc(centre + spread + 0.5), from);
    const weights = [];
    for (let at = first; at < last; at++) weights.push(Math.max(1 - Math.abs((at - centre + 0.5) / spread), 0));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (let line = 0; line < lines; line++) {
      let sum = 0;
      for (let at = first; at < last; at++) sum += values[line * stride + at * step] * (weights[at - first] / total);
      found[line * newStride + index * newStep] = sum;
    }
  }
  return found;
}
