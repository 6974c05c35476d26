// Whether every photo that tests/runtime/javascript/photo_vectors.py wrote becomes here what it becomes in Python, to the
// bit. It runs in Node and in a page.

import { preprocess, readSafetensors } from "../src/index.js";

/**
 * @param {Uint8Array} file
 * @returns {{count: number, wrong: string[]}} how many photos there are, and what differs
 */
export function comparePhotos(file) {
  const { tensors, metadata } = readSafetensors(file);
  /** @type {any[]} */
  const cases = JSON.parse(metadata.get("cases") ?? "[]");
  /** @type {string[]} */
  const wrong = [];
  for (const [number, { name, steps, region, space, orientation }] of cases.entries()) {
    const [pixels, cropped, input] = ["pixels", "cropped", "input"].map((part) => tensors.get(`${number}/${part}`));
    const [height, width, channels] = pixels?.shape ?? [];
    const data = /** @type {Uint8Array} */ (pixels?.data);
    const found = preprocess({ width, height, channels, data, space, orientation }, steps);
    const photo = tensors.get(`${number}/photo`) ?? pixels;
    const { left, top, right, bottom } = found.region;
    for (const [what, ours, theirs] of [
      ["photo", found.photo.data, photo?.data],
      ["crop", found.cropped.data, cropped?.data],
      ["input", found.input.data, input?.data],
      ["input's shape", found.input.shape, input?.shape],
      ["crop's shape", found.cropped.shape, cropped?.shape],
      ["region", [left, top, right, bottom], region],
    ]) {
      if (!same(ours, theirs)) wrong.push(`${name}: the ${what} differs`);
    }
  }
  return { count: cases.length, wrong };
}

/**
 * @param {any} one
 * @param {any} other
 * @returns {boolean} whether all elements are equal, and 0 is not -0
 */
export function same(one, other) {
  if (one.length !== other?.length) return false;
  for (let place = 0; place < one.length; place++) if (!Object.is(one[place], other[place])) return false;
  return true;
}
