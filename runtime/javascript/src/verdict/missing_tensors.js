// A run of which not all is there: some outputs are missing, of others there is only the sample.
//
// An operation whose inputs aren't there is judged together with those before it that aren't.

import { Unknown } from "../float64/graph.js";
import { largestError } from "./drift.js";

/** @typedef {import("../float64/graph.js").Float64Graph} Float64Graph */
/** @typedef {import("../float64/values.js").Values} Values */
/** @typedef {import("./truths.js").Reference} Reference */
/** @typedef {ReadonlyMap<string, Values>} Arrays */

/**
 * @typedef {object} PartialRun
 * @property {Arrays} samples by output: the elements that the truth's sample has, flat
 * @property {Map<string, string[]>} absentBefore by output: the outputs on the way to it that aren't there as a whole
 * @property {Map<string, number>} losses by output with such: how far it moves where each of these, and it, errs by one
 *     rounding
 */

/** Walks, since by one a tensor of few elements would move little by luck. */
export const SHAKEN = 3;

/**
 * @param {Float64Graph} graph
 * @param {Reference} reference
 * @param {Arrays} inputs
 * @param {Arrays} arrays the whole outputs that are there
 * @param {Arrays} samples
 * @returns {PartialRun}
 */
export function partialRun(graph, reference, inputs, arrays, samples) {
  /** @type {PartialRun} */
  const found = { samples, absentBefore: new Map(), losses: new Map() };
  for (const name of reference.truths.keys()) {
    const absent = new Set();
    for (const source of graph.inputsOf.get(name) ?? []) {
      if (arrays.has(source) || inputs.has(source)) continue;
      for (const each of [...(found.absentBefore.get(source) ?? []), source]) absent.add(each);
    }
    if (absent.size) found.absentBefore.set(name, [...absent]);
  }
  const wanted = [...found.absentBefore.keys()].filter((name) => arrays.has(name) || samples.has(name));
  if (!wanted.length) return found;
  const shaken = Array.from({ length: SHAKEN }, (_, seed) => graph.shakenWalk(inputs, seed, arrays));
  for (const { name, value } of graph.walk(inputs, arrays)) {
    const others = shaken.map((walk) => walk.next().value?.value);
    if (!wanted.includes(name) || value instanceof Unknown) continue;
    const moved = others.map((other) =>
      !other || other instanceof Unknown || other.size !== value.size
        ? 0
        : largestError(other.data, value.data, 1, value.data),
    );
    found.losses.set(name, Math.max(0, ...moved));
  }
  return found;
}
