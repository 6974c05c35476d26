// The artifact's manifest, format version 1: what artifacts/README.md describes, checked once as it enters. Names and
// texts in it are the maker's: text, never HTML.

import { checkInputs, checkOutputs, checkResults } from "./consistency.js";
import { ArtifactError, firstLine } from "./errors.js";
import { parseJson } from "./json.js";
import { oneLine } from "./plain_text.js";
import {
  SchemaError,
  dictionary,
  flag,
  line,
  list,
  matching,
  nullable,
  number,
  oneOf,
  record,
  whole,
} from "./schema.js";

/** @typedef {number | string} Dimension a size, or a symbol such as `N` (batch), which stands for any size */

/**
 * @typedef {object} Input one tensor that the model is called with
 * @property {string} name
 * @property {readonly Dimension[]} shape
 * @property {string} dtype NumPy's name, or `bfloat16`
 */

/**
 * @typedef {object} Preprocessing how a photo becomes the input
 * @property {number} resize what the shorter side becomes, in pixels
 * @property {readonly [height: number, width: number]} crop
 * @property {readonly number[] | null} mean per channel, of colours from 0 to 1; null where the model itself normalises:
 *   its input is the cropped pixels, uint8
 * @property {readonly number[] | null} std
 * @property {import("./resize.js").Interpolation} interpolation
 * @property {"NCHW" | "NHWC"} layout of the model's input
 * @property {Normalisation | null} [in_model] what the model itself does, where `mean` and `std` are null
 */

/**
 * @typedef {object} Normalisation what makes numbers around 0 of colours from 0 to 1
 * @property {readonly number[]} mean
 * @property {readonly number[]} std
 */

/**
 * @typedef {object} Tokens how the tokens of an N L C tensor lie in the image
 * @property {number} before
 * @property {number} height
 * @property {number} width
 * @property {number} after
 */

/**
 * @typedef {object} Output one named tensor of the probe
 * @property {string} name
 * @property {string} label
 * @property {string} operation
 * @property {string} module_path
 * @property {string | null} source_file
 * @property {number | null} source_line
 * @property {readonly Dimension[]} shape
 * @property {string} dtype
 * @property {string} layout one letter per axis: `NCHW`, `NLC`
 * @property {Tokens | null} tokens
 * @property {number | null} averaged of how many channels it is the mean, in an averaged probe
 * @property {string | null} alias_of
 * @property {string | null} computed_by
 */

/**
 * @typedef {object} Manifest frozen, as all that is in it; its dictionaries have no prototype
 * @property {1} format_version
 * @property {string} model
 * @property {Readonly<Record<string, string>>} files file name to SHA-256
 * @property {Readonly<Record<string, string>>} left_out
 * @property {any} recipe
 * @property {string | null} weights
 * @property {readonly Input[]} inputs
 * @property {Readonly<Record<string, boolean | number | string | null>>} constants
 * @property {Preprocessing | null} preprocessing null where the input is no image
 * @property {readonly Output[]} outputs in the order of execution
 * @property {Readonly<Record<string, string>>} results path in what the model returns, to the output's name
 * @property {readonly {name: string, reason: string}[]} skipped
 * @property {"trace" | "export" | "onnx"} capture
 * @property {any} candidate
 * @property {string | null} capture_reason
 * @property {{layerprobe: string, torch: string | null, onnx: string, opset: number}} versions
 */

const count = whole(0, 2 ** 31 - 1);
const positive = whole(1, 2 ** 31 - 1);
const pixels = whole(1, 2 ** 20);
/** A file in the folder itself: no path points outside an artifact. */
const fileName = matching(/^[A-Za-z0-9_][A-Za-z0-9_.-]*$/, 200, "the name of a file in the folder");
const sha256 = matching(/^[0-9a-f]{64}$/, 64, "a SHA-256");
const optionalLine = nullable(line);

/** @type {import("./schema.js").Check} */
function dimension(value, path) {
  return typeof value === "string" ? value : whole(0, 2 ** 53)(value, path);
}

/** @type {import("./schema.js").Check} */
function constant(value, path) {
  if (value === null || typeof value === "boolean" || typeof value === "number") return value;
  return line(value, path);
}

const input = record({ name: line, shape: list(dimension), dtype: line });

const means = list(number(-1e6, 1e6));
const deviations = list(number(1e-7, 1e6));

const steps = record(
  {
    resize: pixels,
    crop: list(pixels, 2, 2),
    mean: nullable(means),
    std: nullable(deviations),
    interpolation: oneOf(["nearest", "bilinear", "bicubic", "lanczos", "box", "hamming"]),
    layout: oneOf(["NCHW", "NHWC"]),
    in_model: nullable(record({ mean: means, std: deviations })),
  },
  { interpolation: "bilinear", layout: "NCHW", in_model: null },
);

/** @type {import("./schema.js").Check} */
function preprocessing(value, path) {
  const found = steps(value, path);
  if ([found.mean, found.std].some((each) => (each === null) !== (found.in_model !== null))) {
    throw new SchemaError(path, "mean and std are given, or else in_model has them");
  }
  const { mean, std } = found.in_model ?? found;
  if (mean.length !== std.length || ![1, 3].includes(mean.length)) {
    throw new SchemaError(path, `mean has ${mean.length} channels and std ${std.length}: both need 1 or 3`);
  }
  return found;
}

const output = record(
  {
    name: line,
    label: line,
    operation: line,
    module_path: line,
    source_file: optionalLine,
    source_line: nullable(count),
    shape: list(dimension),
    dtype: line,
    layout: line,
    tokens: nullable(record({ before: count, height: positive, width: positive, after: count })),
    averaged: nullable(positive),
    alias_of: optionalLine,
    computed_by: optionalLine,
  },
  { tokens: null, averaged: null, computed_by: null },
);

const recipe = record(
  {
    model: line,
    seed: whole(0, 2 ** 64),
    weights_file: flag,
    submodule: optionalLine,
    input_size: list(pixels),
    leaf_modules: list(line),
  },
  { seed: 0, weights_file: false, submodule: null, input_size: Object.freeze([]), leaf_modules: Object.freeze([]) },
);

const candidate = record(
  {
    source: line,
    precision: oneOf(["float32", "float16", "bfloat16", "integers"]),
    matched: count,
    fused: dictionary(line, line),
    unmatched: list(line),
    extra: list(line),
    lacks: list(line),
    returns: list(line),
    given: optionalLine,
  },
  {
    precision: "float32",
    fused: Object.freeze(Object.create(null)),
    unmatched: Object.freeze([]),
    extra: Object.freeze([]),
    lacks: Object.freeze([]),
    returns: Object.freeze([]),
    given: null,
  },
);

const manifest = record(
  {
    format_version: oneOf([1]),
    model: line,
    files: dictionary(fileName, sha256),
    left_out: dictionary(fileName, line),
    recipe: nullable(recipe),
    weights: nullable(sha256),
    inputs: list(input, 1),
    constants: dictionary(line, constant),
    preprocessing: nullable(preprocessing),
    outputs: list(output, 1),
    results: dictionary(line, line, 1),
    skipped: list(record({ name: line, reason: line })),
    capture: oneOf(["trace", "export", "onnx"]),
    candidate: nullable(candidate),
    capture_reason: optionalLine,
    versions: record({ layerprobe: line, torch: optionalLine, onnx: line, opset: count }),
  },
  {
    left_out: Object.freeze(Object.create(null)),
    recipe: null,
    weights: null,
    constants: Object.freeze(Object.create(null)),
    candidate: null,
    capture_reason: null,
  },
);

/**
 * @param {Uint8Array} bytes JSON
 * @param {string} source the file that it is from, for messages
 * @returns {Manifest}
 * @throws {ArtifactError} it is not a valid manifest, or of another format version
 */
export function parseManifest(bytes, source) {
  /** @param {string} reason */
  const refused = (reason) =>
    new ArtifactError(`${source} is not a valid manifest: ${reason}.\nExport the artifact again.`);
  /** @type {any} */
  let content;
  try {
    content = parseJson(bytes);
  } catch (error) {
    throw refused(oneLine(firstLine(error)));
  }
  // The version is checked first: in another format, nothing else can be.
  const version = content?.format_version ?? 1;
  if (typeof version === "number" && version !== 1) {
    throw new ArtifactError(
      `${source} has format version ${version}; this layerprobe reads 1.\nUpdate layerprobe, or write it again.`,
    );
  }
  try {
    /** @type {Manifest} */
    const found = manifest(content, "");
    checkInputs(found.inputs);
    checkOutputs(found.outputs, found.inputs);
    checkResults(found.results, found.outputs);
    return found;
  } catch (error) {
    if (error instanceof SchemaError) throw refused(error.message);
    throw error;
  }
}
