// Tensors that a runtime computed -> those of the model's outputs, whole or sampled, and of which recorded input they are.

import { InputError } from "../errors.js";
import { parseJson } from "../json.js";
import { oneLine } from "../plain_text.js";
import { numbers, shapeWords, sizeOf } from "../tensor.js";
import { valuesOf } from "./tensors.js";
import { withPrefix } from "./truths.js";

/** @typedef {import("../manifest.js").Manifest} Manifest */
/** @typedef {import("../tensor.js").Tensor} Tensor */
/** @typedef {import("../float64/values.js").Values} Values */
/** @typedef {import("./truths.js").Reference} Reference */
/** @typedef {ReadonlyMap<string, string>} Metadata of a safetensors file */

export const FILE_KEY = "layerprobe.file";
const RECORDED_INPUT_KEY = "layerprobe.recorded_input",
  SAMPLES_KEY = "layerprobe.samples",
  INPUT_PREFIX = "input:";
/** Of the largest value: what may be lost where inputs were written as text. */
const SAME_INPUT = 1e-6;
const MOST_FACTS = 20,
  LONGEST = 200;

/**
 * @param {ReadonlyMap<string, Tensor>} tensors
 * @param {Metadata} metadata
 * @param {readonly Reference[]} references
 * @param {number} [asked]
 * @returns {number} the recorded input from which they were computed: as asked, as the metadata say, or the one that
 *     equals the inputs among them; else the first
 * @throws {InputError} there is none
 */
export function recordedInputOf(tensors, metadata, references, asked) {
  const said = asked ?? metadata.get(RECORDED_INPUT_KEY),
    names = references.map(({ name }) => name).join(", ");
  if (said !== undefined) {
    if (references[Number(said)] && /^\d+$/.test(String(said))) return Number(said);
    throw new InputError(
      `The recorded input ${oneLine(String(said), 40)} was asked for; there are ${references.length}, counted from 0: ${names}.`,
    );
  }
  const given = withPrefix(new Map(tensors), INPUT_PREFIX);
  if (!given.size) return 0;
  const place = references.findIndex(({ inputs }) =>
    [...given].every(([name, tensor]) => {
      // Of a single input the name may be another.
      const recorded =
        inputs.get(name) ?? (inputs.size === 1 && given.size === 1 ? [...inputs.values()][0] : undefined);
      return recorded && isSameInput(tensor, recorded);
    }),
  );
  if (place < 0)
    throw new InputError(
      `The tensors were computed from another input than ${names}.\nRun one of the recorded inputs.`,
    );
  return place;
}

/** @param {Tensor} tensor @param {Tensor} recorded @returns {boolean} */
function isSameInput(tensor, recorded) {
  if (tensor.shape.join() !== recorded.shape.join()) return false;
  const [one, other] = [numbers(tensor), numbers(recorded)];
  let [most, apart] = [0, 0];
  for (let at = 0; at < one.length; at++) {
    most = Math.max(most, Math.abs(other[at]));
    apart = Math.max(apart, Math.abs(one[at] - other[at]));
  }
  return apart <= SAME_INPUT * most;
}

/**
 * @param {ReadonlyMap<string, Tensor>} tensors
 * @param {Metadata} metadata
 * @param {Manifest} manifest
 * @param {Reference} reference
 * @returns {{ whole: Map<string, Values>, samples: Map<string, Values>, unknown: string[] }}
 * @throws {InputError} none of the outputs is there, or a sample isn't that of the reference
 */
export function givenOutputs(tensors, metadata, manifest, reference) {
  const whole = new Map(),
    samples = new Map(),
    shapes = sampledShapes(metadata),
    outputs = new Set(manifest.outputs.map(({ name }) => name));
  const inputs = new Set(manifest.inputs.map(({ name }) => name));
  const unknown = [...tensors.keys()].filter(
    (name) => !outputs.has(name) && !inputs.has(name) && !name.startsWith(INPUT_PREFIX),
  );
  for (const { name } of manifest.outputs) {
    const tensor = tensors.get(name),
      truth = reference.truths.get(name),
      shape = shapes.get(name);
    if (!tensor || !truth) continue;
    const values = valuesOf(tensor);
    if (!shape) whole.set(name, values);
    else if (shape.join() !== truth.shape.join() || values.size !== truth.sample.length) {
      throw new InputError(
        `${oneLine(name)} has ${values.size} elements of ${shapeWords(shape)}. Its sample has ${truth.sample.length} elements of ` +
          `${shapeWords(truth.shape)},\nat the places that artifacts/README.md gives a formula for.`,
      );
    } else if (values.size === sizeOf(shape)) whole.set(name, values.reshaped(shape));
    else samples.set(name, values.reshaped([values.size]));
  }
  if (!whole.size && !samples.size) {
    const [have, want] = [[...tensors.keys()], [...outputs]].map(
      (names) => oneLine(names.slice(0, 5).join(", ")) || "none",
    );
    throw new InputError(
      `There is none of the outputs of ${manifest.model} among the tensors: ${have}.\nThe names must be the outputs' own: ${want}`,
    );
  }
  return { whole, samples, unknown: unknown.map((name) => oneLine(name)) };
}

/** @param {Metadata} metadata @returns {Map<string, number[]>} */
function sampledShapes(metadata) {
  const text = metadata.get(SAMPLES_KEY);
  if (text === undefined) return new Map();
  try {
    const found = Object.entries(/** @type {Record<string, number[]>} */ (parseJson(new TextEncoder().encode(text))));
    if (found.every(([, shape]) => Array.isArray(shape) && shape.every(Number.isSafeInteger))) return new Map(found);
  } catch {
    // Said below.
  }
  throw new InputError(
    `${SAMPLES_KEY} in the metadata is not a JSON object of names to shapes, as in {"conv1": [1, 64, 112, 112]}.`,
  );
}

/** @param {Metadata} metadata @returns {Record<string, string>} what may explain a drift */
export function factsOf(metadata) {
  const own = [...metadata]
    .filter(([key]) => !key.startsWith("layerprobe."))
    .sort(([one], [other]) => (one < other ? -1 : 1));
  return Object.fromEntries(
    own.slice(0, MOST_FACTS).map(([key, text]) => [oneLine(key, LONGEST), oneLine(text, LONGEST)]),
  );
}
