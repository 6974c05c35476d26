// Runs an artifact on ONNX Runtime, of which the caller hands in his: `onnxruntime-node` or `onnxruntime-web`.

import { ONNX_FILE } from "./artifact.js";
import { ArtifactError, ExecutionError, InputError, RunnerUnavailable, UsageError, firstLine } from "./errors.js";
import { oneLine } from "./plain_text.js";
import { lostOutput, requested } from "./result_names.js";
import { DTYPES, castFloat32, shapeWords } from "./tensor.js";

/** @typedef {import("./artifact.js").Artifact} Artifact */
/** @typedef {import("./artifact.js").OnnxModel} OnnxModel */
/** @typedef {import("./manifest.js").Dimension} Dimension */
/** @typedef {import("./manifest.js").Input} Input */
/** @typedef {import("./manifest.js").Manifest} Manifest */
/** @typedef {import("./tensor.js").DType} DType */
/** @typedef {import("./tensor.js").Tensor} Tensor */
/** @typedef {import("./tensor.js").Tensors} Tensors */
/** @typedef {Pick<typeof import("onnxruntime-common"), "InferenceSession" | "Tensor">} Ort */
/** @typedef {import("onnxruntime-common").InferenceSession} Session */
/** @typedef {import("onnxruntime-common").InferenceSession.SessionOptions} SessionOptions */

/** Errors only: what ONNX Runtime would say else is of no use to whoever sees a page or a terminal. */
const ERRORS_ONLY = 3;
const LARGEST_SIZE = 2 ** 31 - 1;

/** A model that is open in ONNX Runtime. */
export class OnnxRunner {
  /**
   * @param {Ort} ort
   * @param {Session} session
   * @param {Manifest} manifest
   * @param {readonly string[]} outputs
   */
  constructor(ort, session, manifest, outputs) {
    this.ort = ort;
    this.session = session;
    /** @readonly */
    this.manifest = manifest;
    /** The outputs that are computed, in the order of execution. @readonly */
    this.outputs = outputs;
  }

  /**
   * @param {Tensors | Readonly<Record<string, Tensor>>} inputs by the names of the manifest's `inputs`; float32 is
   *   accepted for every floating-point input
   * @returns {Promise<Tensors>} by name, in the order of execution
   * @throws {InputError} an input is missing or unknown, or has another shape or dtype
   * @throws {ExecutionError} ONNX Runtime failed
   */
  async run(inputs) {
    const given = checkInputs(this.manifest, inputs instanceof Map ? inputs : new Map(Object.entries(inputs)));
    try {
      const feeds = Object.fromEntries(
        [...given].map(([name, { dtype, data, shape }]) => [
          name,
          new this.ort.Tensor(/** @type {any} */ (dtype), data, shape),
        ]),
      );
      const found = await this.session.run(feeds, requested(this.session.outputNames, this.outputs));
      /** @type {Tensors} */
      const tensors = new Map();
      for (const name of this.outputs) tensors.set(name, await asTensor(found[name]));
      return tensors;
    } catch (error) {
      throw new ExecutionError(`${this.manifest.model} failed in ONNX Runtime: ${oneLine(firstLine(error))}`);
    }
  }

  /** Free the model's memory, which no garbage collector does. */
  async release() {
    await this.session.release();
  }
}

/**
 * @param {Artifact} artifact a full probe, or `await artifact.averaged()`
 * @param {Ort} ort the module `onnxruntime-node` or `onnxruntime-web`
 * @param {{outputs?: readonly string[], session?: SessionOptions}} [options] which outputs are computed, by default all;
 *   and ONNX Runtime's own options, such as `executionProviders`
 * @returns {Promise<OnnxRunner>}
 * @throws {ArtifactError} a file is missing, altered or not a valid model, or the manifest describes another
 * @throws {UsageError} there is no such output, or ONNX Runtime can't return it here
 */
export async function openRunner(artifact, ort, options = {}) {
  const { manifest } = artifact;
  const outputs = chosen(manifest, options.outputs);
  refuseLost(manifest, outputs);
  if ([...manifest.inputs, ...manifest.outputs].some((entry) => entry.dtype === "bfloat16")) {
    throw new RunnerUnavailable(
      `${manifest.model} computes in bfloat16, which ONNX Runtime lacks here.\nExport it in float32.`,
    );
  }
  const model = await artifact.onnx();
  const session = await opened(artifact, model, ort, { logSeverityLevel: ERRORS_ONLY, ...options.session });
  compareWithManifest(session, artifact);
  return new OnnxRunner(ort, session, manifest, outputs);
}

/**
 * @param {Manifest} manifest
 * @param {Tensors} inputs
 * @returns {Tensors} in the manifest's order and types
 * @throws {InputError} an input is missing or unknown, or has another shape or dtype
 */
export function checkInputs(manifest, inputs) {
  const names = manifest.inputs.map((entry) => entry.name);
  if (inputs.size !== names.length || !names.every((name) => inputs.has(name))) {
    const given = oneLine([...inputs.keys()].join(", ") || "none");
    throw new InputError(`${manifest.model} takes the inputs ${names.join(", ")}; it was given ${given}.`);
  }
  return new Map(manifest.inputs.map((entry) => [entry.name, checkedInput(manifest, entry, inputs)]));
}

/**
 * @param {Manifest} manifest
 * @param {Input} entry
 * @param {Tensors} inputs
 * @returns {Tensor}
 */
function checkedInput(manifest, { name, shape, dtype }, inputs) {
  const given = /** @type {Tensor} */ (inputs.get(name));
  const isFloat = dtype === "float16" || dtype === "float32" || dtype === "float64";
  const tensor = isFloat && given.dtype === "float32" ? castFloat32(given, dtype) : given;
  const fits =
    tensor.shape.length === shape.length &&
    shape.every((size, axis) => typeof size === "string" || size === tensor.shape[axis]);
  if (!fits || tensor.dtype !== dtype || tensor.data.length === 0) {
    throw new InputError(
      `${manifest.model} takes ${name} (${shapeWords(shape)}, ${dtype}); ` +
        `it was given ${name} (${shapeWords(given.shape)}, ${given.dtype}).`,
    );
  }
  return tensor;
}

/**
 * @param {Manifest} manifest
 * @param {readonly string[]} [names]
 * @returns {readonly string[]} in the order of execution
 */
function chosen(manifest, names) {
  const all = manifest.outputs.map((output) => output.name);
  if (names === undefined) return all;
  const unknown = names.find((name) => !all.includes(name));
  if (unknown !== undefined || !names.length) {
    const asked = unknown === undefined ? "No output was requested" : `There is no output '${oneLine(unknown)}'`;
    throw new UsageError(`${asked}. ${manifest.model} has: ${oneLine(all.join(", "))}.`);
  }
  return all.filter((name) => names.includes(name));
}

/**
 * @param {Manifest} manifest
 * @param {readonly string[]} outputs
 * @throws {UsageError} one of them has a name that ONNX Runtime loses
 */
function refuseLost({ model, outputs: all }, outputs) {
  const lost = lostOutput(outputs);
  if (lost === undefined) return;
  const instead = all.length > 1 ? "Request the others by name, or export the model" : "Export the model";
  throw new UsageError(
    `${model}: ONNX Runtime can't return an output named '${lost}' in JavaScript.\n${instead} with another name for it.`,
  );
}

/**
 * @param {Artifact} artifact
 * @param {OnnxModel} model
 * @param {Ort} ort
 * @param {SessionOptions} options
 * @returns {Promise<Session>}
 */
async function opened(artifact, { file, content, weights }, ort, options) {
  const { place } = artifact;
  try {
    const externalData = [...weights].map(([path, data]) => ({ path, data }));
    return await ort.InferenceSession.create(content, weights.size ? { ...options, externalData } : options);
  } catch (error) {
    throw new ArtifactError(`${place.name}: ${file} can't be loaded by ONNX Runtime: ${oneLine(firstLine(error))}`);
  }
}

/**
 * @param {Session} session
 * @param {Artifact} artifact
 * @throws {ArtifactError} the model file's inputs or outputs are not the ones that the manifest lists
 */
function compareWithManifest(session, { manifest, place }) {
  for (const { kind, names, facts, listed } of [
    { kind: "inputs", names: session.inputNames, facts: session.inputMetadata, listed: manifest.inputs },
    { kind: "outputs", names: session.outputNames, facts: session.outputMetadata, listed: manifest.outputs },
  ]) {
    const wrong = listed.findIndex((entry, place) => names[place] !== entry.name || !fits(facts?.[place], entry));
    if (names.length === listed.length && wrong < 0) continue;
    const [inside, beside] =
      wrong < 0
        ? [`${names.length} of them`, `${listed.length} of them`]
        : [words(names[wrong], facts?.[wrong]), words(listed[wrong].name, listed[wrong])];
    throw new ArtifactError(
      `${place.name}: the manifest's ${kind} are not those of ${ONNX_FILE}: the model has ${inside}, the manifest ${beside}.\n` +
        "Export the artifact again.",
    );
  }
}

/**
 * @param {any} inside what the session says of a tensor; older versions of ONNX Runtime say nothing
 * @param {Input} listed which may fix a size that is open in the file
 * @returns {boolean}
 */
function fits(inside, listed) {
  if (!inside?.isTensor) return inside === undefined;
  const { type, shape } = inside;
  return (
    type === listed.dtype &&
    shape.length === listed.shape.length &&
    shape.every(
      (/** @type {Dimension} */ size, /** @type {number} */ axis) => isOpen(size) || size === listed.shape[axis],
    )
  );
}

/**
 * @param {Dimension | null} size as ONNX Runtime tells it
 * @returns {boolean} whether any size fits: a symbol; without one, onnxruntime-web gives -1 as an unsigned number
 */
function isOpen(size) {
  return typeof size !== "number" || size > LARGEST_SIZE;
}

/**
 * @param {string | undefined} name
 * @param {any} facts
 * @returns {string}
 */
function words(name, facts) {
  if (name === undefined) return "none";
  const sizes = facts?.shape ? ` (${facts.type ?? facts.dtype}, ${shapeWords(facts.shape)})` : "";
  return oneLine(`${name}${sizes}`);
}

/**
 * @param {import("onnxruntime-common").Tensor} tensor
 * @returns {Promise<Tensor>}
 */
async function asTensor(tensor) {
  const dtype = /** @type {DType} */ (tensor.type);
  const data = /** @type {any} */ (await tensor.getData());
  const kind = DTYPES[dtype];
  if (!kind) throw new Error(`a tensor of ${dtype} can't be read`);
  // Where a browser has Float16Array, that is what it comes in; here, it is its bits.
  const elements = data instanceof kind ? data : new kind(data.buffer, data.byteOffset, data.length);
  return { dtype, shape: [...tensor.dims], data: /** @type {any} */ (elements) };
}
