// An artifact and tensors that some runtime computed of a recorded input -> the report of `layerprobe verify --tensors`: who
// is wrong, where, by how much. It takes seconds: in a page, call it in a worker.

import { ONNX_FILE, REFERENCE_FILE } from "../artifact.js";
import { ArtifactError, UsageError } from "../errors.js";
import { parseJson } from "../json.js";
import { Float64Graph } from "../float64/graph.js";
import { readOnnx } from "../float64/onnx_graph.js";
import { scalar, zip, larger } from "../float64/values.js";
import { accumulatedLosses, sharesOfError } from "./error_shares.js";
import { compareOutput, failed } from "./drift.js";
import { evaluateFile } from "./file_values.js";
import { FILE_KEY, factsOf, givenOutputs, recordedInputOf } from "./given_tensors.js";
import { headline } from "./headline.js";
import { partialRun } from "./missing_tensors.js";
import { nodeDifferences } from "./node_differences.js";
import { atFault, joined, runnerReport, settled } from "./report.js";
import { valuesOf } from "./tensors.js";
import { ofSample, readReferences } from "./truths.js";
import { FILE_PASSING_DRIFT, FILE_RUNNER, PASSING_ERROR } from "./verdict_table.js";

/** @typedef {import("../artifact.js").Artifact} Artifact */
/** @typedef {import("../tensor.js").Tensor} Tensor */
/** @typedef {import("../float64/values.js").Values} Values */
/** @typedef {import("./error_shares.js").ErrorShare} ErrorShare */
/** @typedef {import("./file_values.js").FileValues} FileValues */
/** @typedef {import("./report.js").Runner} Runner */
/** @typedef {import("./report.js").RunnerReport} RunnerReport */
/** @typedef {import("./truths.js").Reference} Reference */

/**
 * @typedef {object} Report what `verify --json` writes
 * @property {1} format_version
 * @property {string} headline
 * @property {Record<string, string | number>} environment
 * @property {import("../manifest.js").Manifest["outputs"]} outputs
 * @property {string[]} results
 * @property {RunnerReport[]} runners the ONNX file itself in float64, unless that is left out; then the tensors
 * @property {Record<string, string>} left_out
 * @property {Record<string, never>} unopened
 * @property {null} goal
 * @property {null} candidate
 * @property {Record<string, string[]>} untried
 * @property {string[]} undefined the model's results that have no finite value for any recorded input, which fails
 */

/**
 * @typedef {object} Options
 * @property {string} [name] what the report calls the tensors: a file's name, a runtime's
 * @property {number} [recordedInput] from which they were computed, counted from 0; else as `metadata` says, or the one
 *     that equals `input:NAME` among the tensors
 * @property {ReadonlyMap<string, string>} [metadata] of their safetensors file
 * @property {boolean} [readsOnnx] whether model.onnx was run as it is, so that its faults are known not to be the
 *     runtime's; else as `metadata` says
 * @property {string[]} [providers] what ran it: `wasm`, `webgpu`, `cpu`
 * @property {(phase: string) => void} [onPhase] called with the name of each phase as it starts
 */

/**
 * Judge what a runtime computed: each operation's own error, given the very inputs that it got, in float64, against what
 * float32 may lose there; the model's results against the truth; the ONNX file itself.
 *
 * @param {Artifact} artifact
 * @param {ReadonlyMap<string, Tensor>} tensors by the outputs' names; not all need be there
 * @param {Options} [options]
 * @returns {Promise<Report>}
 * @throws {ArtifactError} a file of it is missing or altered
 * @throws {import("../errors.js").InputError} none of the tensors is an output, or they are of another input
 * @throws {UsageError} the artifact is that of a candidate
 */
export async function judge(artifact, tensors, options = {}) {
  const { metadata = new Map(), name = "tensors", providers = [], onPhase = () => {} } = options,
    { manifest } = artifact;
  if (manifest.candidate)
    throw new UsageError(`${manifest.model} is judged against its source, which takes Python: layerprobe verify.`);
  const parts = await opened(artifact),
    { references } = parts,
    number = recordedInputOf(tensors, metadata, references, options.recordedInput);
  const judges = new Map(),
    judgeOf = (/** @type {number} */ place) => {
      if (!judges.has(place)) judges.set(place, new InputJudge(artifact, parts, references[place]));
      return /** @type {InputJudge} */ (judges.get(place));
    };
  const readsOnnx = options.readsOnnx ?? metadata.get(FILE_KEY) === ONNX_FILE;
  const given = givenOutputs(tensors, metadata, manifest, references[number]);
  onPhase("judging the tensors");
  const own = judgeOf(number).reportOf(
    { name, providers, facts: factsOf(metadata), readsOnnx },
    given.whole,
    given.samples,
  );
  const absent = manifest.outputs
    .map((output) => output.name)
    .filter((each) => !given.whole.has(each) && !given.samples.has(each));
  const report = {
    ...own,
    given: { absent, sampled: [...given.samples.keys()], reordered: {}, unknown: given.unknown },
  };
  /** @type {Record<string, string>} */
  const leftOut = {};
  const reason =
    manifest.capture === "onnx"
      ? "the model is an ONNX file, which the other runners are judged by"
      : judgeOf(0).whyFileUnknown;
  /** @type {RunnerReport[]} */
  const runners = [];
  onPhase("judging the ONNX file");
  if (reason) leftOut[FILE_RUNNER] = reason;
  // An error that the file shares shows with that input.
  else
    runners.push(
      number && failed(own)
        ? joined(judgeOf(0).reportOfFile(), judgeOf(number).reportOfFile())
        : judgeOf(0).reportOfFile(),
    );
  runners.push(report);
  for (const each of runners) await addDifferences(each, artifact, parts);
  const withoutValue = undefinedOf(parts.results, references);
  const partlyNan = holdingNan(parts.results, references).filter((name) => !withoutValue.includes(name));
  return {
    format_version: 1,
    headline: headline(runners, manifest.outputs, withoutValue, partlyNan),
    environment: environmentOf(manifest),
    outputs: manifest.outputs,
    results: parts.results,
    runners,
    left_out: leftOut,
    unopened: {},
    goal: null,
    candidate: null,
    untried: untriedOf(manifest, references),
    undefined: withoutValue,
  };
}

/** @typedef {Awaited<ReturnType<typeof opened>>} Parts */

/** @param {Artifact} artifact */
async function opened(artifact) {
  const { manifest } = artifact,
    names = manifest.outputs.map(({ name }) => name),
    { file, content, weights } = await artifact.onnx();
  const references = readReferences(await artifact.bytes(REFERENCE_FILE));
  // A converter's casts to 16 bits round, unless the whole model computes in 16 bits.
  const in16Bits = [...manifest.inputs, ...manifest.outputs].some(
    ({ dtype }) => dtype === "float16" || dtype === "bfloat16",
  );
  try {
    const model = readOnnx(content, (location) => weights.get(location) ?? new Uint8Array());
    const graph = new Float64Graph(model, names, { rounds: !in16Bits, averaged: artifact.isAveraged });
    return { model, graph, references, results: [...new Set(Object.values(manifest.results))] };
  } catch (error) {
    throw new ArtifactError(
      `${file} can't be judged: ${/** @type {Error} */ (error).message}.\nExport the artifact again.`,
    );
  }
}

/** Judges runners on one recorded input. */
class InputJudge {
  /** @param {Artifact} artifact @param {Parts} parts @param {Reference} reference */
  constructor({ manifest }, { graph, results }, reference) {
    this.graph = graph;
    this.results = results;
    this.reference = reference;
    this.inputs = new Map([...reference.inputs].map(([name, tensor]) => [name, valuesOf(tensor)]));
    this.dtypes = new Map(manifest.outputs.map(({ name, dtype }) => [name, dtype]));
    this.input = { name: reference.name, shapes: [...this.inputs.values()].map(({ shape }) => shape) };
    /** @type {FileValues | null} */
    this.evaluated = null;
  }

  /** @returns {FileValues} */
  get file() {
    this.evaluated ??= evaluateFile(this.graph, this.reference, this.inputs, this.dtypes);
    return this.evaluated;
  }

  /**
   * @returns {string | null} why the file can't be judged: it can't be evaluated as a whole, and what could be has no
   *   fault
   */
  get whyFileUnknown() {
    if (this.file.faults.size || !this.file.unknown.size) return null;
    const [[name, why]] = this.file.unknown;
    return `${name} can't be evaluated: ${why}`;
  }

  /** @returns {RunnerReport} on the ONNX file itself: all of its error is introduced at its faults */
  reportOfFile() {
    const { comparisons, faults } = this.file;
    /** @type {Map<string, ErrorShare>} */
    const shares = new Map();
    for (const { name, drift } of comparisons) {
      const error = drift ?? Infinity;
      shares.set(name, faults.has(name) ? { introduced: error, inherited: 0 } : { introduced: 0, inherited: error });
    }
    const outputs = settled(comparisons, shares, this.results, FILE_PASSING_DRIFT);
    const runner = { name: FILE_RUNNER, providers: ["JavaScript"], facts: {}, readsOnnx: true };
    const { input, results, graph } = this,
      unexported = graph.unexported;
    return runnerReport(runner, {
      outputs,
      shares,
      faults,
      unexported,
      passingError: FILE_PASSING_DRIFT,
      results,
      input,
    });
  }

  /**
   * @param {Runner} runner
   * @param {ReadonlyMap<string, Values>} arrays
   * @param {ReadonlyMap<string, Values>} samples
   * @returns {RunnerReport}
   */
  reportOf(runner, arrays, samples) {
    const { graph, reference, inputs, results, dtypes, file, input } = this,
      part = partialRun(graph, reference, inputs, arrays, samples);
    /** @type {import("./drift.js").OutputComparison[]} */
    let outputs = [];
    const shares = new Map(),
      losses = new Map(),
      unknown = /** @type {Record<string, string>} */ (Object.create(null));
    for (const { comparison, share, loss, unknown: why } of sharesOfError(
      graph,
      reference,
      inputs,
      file,
      arrays,
      dtypes,
      part,
    )) {
      outputs.push(comparison);
      if (share) shares.set(comparison.name, share);
      if (loss && results.includes(comparison.name)) losses.set(comparison.name, loss);
      if (why !== null) unknown[comparison.name] = why;
    }
    let found = settled(outputs, shares, results, PASSING_ERROR);
    if (found.some(failed) && !atFault(outputs, shares, PASSING_ERROR).size) {
      // Results drift, by no operation's fault: perhaps as far as right operations may together.
      for (const [name, moved] of accumulatedLosses(graph, reference, inputs, results)) {
        losses.set(name, zip(losses.get(name) ?? scalar(0), scalar(moved), larger));
      }
      outputs = outputs.map((output) =>
        results.includes(output.name) ? this.compared(output.name, arrays, samples, losses.get(output.name)) : output,
      );
      found = settled(outputs, shares, results, PASSING_ERROR);
    }
    // A fault of the file at what isn't there shows at the next output that is.
    const faults = new Map();
    for (const [name, before] of part.absentBefore)
      if (before.some((each) => file.faults.has(each))) faults.set(name, Infinity);
    for (const [name, error] of file.faults) faults.set(name, error);
    const unexported = new Map([...graph.unexported, ...part.absentBefore]);
    const report = runnerReport(runner, {
      outputs: found,
      shares,
      faults,
      unexported,
      passingError: PASSING_ERROR,
      results,
      input,
    });
    return { ...report, not_recomputed: unknown };
  }

  /**
   * @param {string} name
   * @param {ReadonlyMap<string, Values>} arrays
   * @param {ReadonlyMap<string, Values>} samples
   * @param {Values | undefined} loss
   */
  compared(name, arrays, samples, loss) {
    const whole = /** @type {import("./truths.js").Truth} */ (this.reference.truths.get(name)),
      isSample = samples.has(name);
    const result = arrays.get(name) ?? samples.get(name) ?? null;
    return compareOutput(name, isSample ? ofSample(whole) : whole, result, this.dtypes.get(name) ?? "float32", {
      loss,
    });
  }
}

/**
 * Say what is wrong in the file, where it is to blame.
 *
 * @param {RunnerReport} report
 * @param {Artifact} artifact
 * @param {Parts} parts
 */
async function addDifferences({ culprit }, artifact, { model }) {
  if (culprit?.cause !== "export" || !artifact.lists("operations.json")) return;
  try {
    const recorded = /** @type {any} */ (parseJson(await artifact.bytes("operations.json"))),
      names = artifact.manifest.outputs.map(({ name }) => name);
    culprit.differences = await nodeDifferences(model, names, culprit.output, recorded.outputs?.[culprit.output]);
  } catch {
    // The verdict stands without it.
  }
}

/** @param {Artifact["manifest"]} manifest @returns {Record<string, string | number>} */
function environmentOf({ model, versions }) {
  const machine = globalThis.navigator?.userAgent ?? "JavaScript";
  return {
    model,
    opset: versions.opset,
    layerprobe: versions.layerprobe,
    javascript: machine.slice(0, 200),
    time: `${new Date().toISOString().slice(0, 19)}Z`,
  };
}

/**
 * @param {readonly string[]} results
 * @param {readonly Reference[]} references
 * @returns {string[]} those that are NaN or infinite throughout in each
 */
function undefinedOf(results, references) {
  return results.filter((name) =>
    samplesOf(name, references).every((each) => each.length && !each.some(Number.isFinite)),
  );
}

/**
 * @param {readonly string[]} results
 * @param {readonly Reference[]} references
 * @returns {string[]} those that are NaN somewhere in each
 */
function holdingNan(results, references) {
  return results.filter((name) => samplesOf(name, references).every((each) => each.some(Number.isNaN)));
}

/** @param {string} name @param {readonly Reference[]} references */
const samplesOf = (name, references) => references.map(({ truths }) => truths.get(name)?.sample ?? new Float64Array());

/**
 * @param {Artifact["manifest"]} manifest
 * @param {readonly Reference[]} references
 * @returns {Record<string, string[]>} by output, what no recorded input exercises
 */
function untriedOf({ outputs }, references) {
  /** @type {Record<string, string[]>} */
  const found = Object.create(null);
  for (const { name, shape, layout } of outputs) {
    /** @template T @param {(reference: Reference) => T[] | undefined} of @returns {T[]} */
    const inAll = (of) =>
      (of(references[0]) ?? []).filter((each) => references.every((reference) => of(reference)?.includes(each)));
    const words = inAll(({ untried }) => untried.get(name)),
      zero = inAll(({ zeroChannels }) => zeroChannels.get(name));
    if (zero.length) words.push(`${zero.length} of ${shape[layout.indexOf("C")]} channels are always 0`);
    if (words.length) found[name] = [...new Set(words)].sort();
  }
  return found;
}
