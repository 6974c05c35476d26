// What is kept of a large tensor, so that it can be compared later: the sample of artifacts/README.md.

/** @typedef {import("./tensor.js").Elements} Elements */

/** The most elements that are kept of a tensor; a smaller one is kept whole. */
export const SAMPLE_LIMIT = 65_536;

/**
 * One element from each of `number` equal stretches, at a place in it that follows the golden ratio: every channel and
 * row is sampled, and no period of the layout is always hit or missed, as by a fixed stride.
 *
 * @param {number} size how many elements the flat tensor has
 * @param {number} [number] how many of them are taken
 * @returns {Float64Array} their places, counted from 0
 */
export function samplePlaces(size, number = SAMPLE_LIMIT) {
  if (size <= number) return Float64Array.from({ length: size }, (_, place) => place);
  return Float64Array.from({ length: number }, (_, stretch) => {
    const within = 0.6180339887498949 * stretch;
    return Math.floor((stretch + (within - Math.floor(within))) * (size / number));
  });
}

/**
 * @template {Elements} T
 * @param {T} elements of a tensor, flat
 * @param {number} [number] how many are kept at most
 * @returns {T} those at `samplePlaces`; all of them without a copy
 */
export function sample(elements, number = SAMPLE_LIMIT) {
  if (elements.length <= number) return elements;
  const places = samplePlaces(elements.length, number);
  const kept = /** @type {any} */ (new /** @type {any} */ (elements.constructor)(number));
  for (let place = 0; place < number; place++) kept[place] = elements[places[place]];
  return kept;
}
