// The first line of a report, in words: who is wrong, the file or the runtime, and whether the model's results feel it.
// The words are those of runtime/verdict/headline.py, sentence by sentence; a test holds them together.

import { first } from "./blame.js";
import { failed, passingDrift } from "./drift.js";
import { general } from "../number_words.js";
import { FILE_RUNNER, VERDICTS } from "./verdict_table.js";

/** @typedef {import("./drift.js").OutputComparison} OutputComparison */
/** @typedef {import("./report.js").RunnerReport} RunnerReport */
/** @typedef {import("../manifest.js").Manifest["outputs"][number]} Output */
/** @typedef {ReadonlyMap<string, Output>} Facts */

/**
 * @param {readonly RunnerReport[]} runners as judged
 * @param {readonly Output[]} outputs of the artifact
 * @param {readonly string[]} [withoutValue] the model's results that have no finite value
 * @param {readonly string[]} [partlyNan] the model's results that are NaN in part
 * @returns {string}
 */
export function headline(runners, outputs, withoutValue = [], partlyNan = []) {
  const facts = new Map(outputs.map((output) => [output.name, output]));
  const wrong = runners.filter(failed),
    blamed = wrong.filter(({ culprit }) => culprit);
  if (blamed.length) {
    const worst = first(blamed, severity);
    return (
      culpritWords(worst, facts) +
      whoseFault(worst) +
      otherFaults(worst, runners) +
      felt(worst, wrong) +
      also(worst, wrong)
    );
  }
  if (wrong.length) return `${wrong[0].name} fails: ${wrong[0].verdict}.`;
  if (withoutValue.length) return undefinedWords(withoutValue);
  return passing(runners) + partlyNanWords(partlyNan) + largestError(runners, facts) + unevaluated(runners);
}

/** An operation as a reader knows it: `Conv2d conv1 (net.py:7)`. @param {Output} output @returns {string} */
export function operationWords(output) {
  const source = output.source_file ? ` (${output.source_file}:${output.source_line})` : "";
  return `${output.label} ${output.name}${source}`;
}

/**
 * @param {RunnerReport} runner
 * @returns {number} how large an error its culprit introduced: infinite if that can't be measured
 */
const severity = ({ culprit }) => (culprit ? (culprit.introduced ?? Infinity) : -1);

/** The first three names, and dots for more. @param {readonly string[]} names @returns {string} */
export const firstNames = (names) => names.slice(0, 3).join(", ") + (names.length > 3 ? ", ..." : "");

/** @param {readonly string[]} names @returns {string} that nothing can be proven of results without a finite value */
function undefinedWords(names) {
  const results = names.length === 1 ? `result ${names[0]} is` : `results ${firstNames(names)} are`;
  return (
    `The model's ${results} NaN or infinite throughout, in float64, on each input: nothing was compared there, ` +
    "which fails. Look for NaN in its weights, or give an input of its domain: --input."
  );
}

/** @param {readonly string[]} names @returns {string} that results are NaN in the model itself, after a sentence */
function partlyNanWords(names) {
  if (!names.length) return "";
  const results = names.length === 1 ? `result ${names[0]} is` : `results ${firstNames(names)} are`;
  return ` The model's ${results} NaN in part, in float64, on each input: there, NaN is right.`;
}

/** @param {readonly RunnerReport[]} runners @returns {string} */
function passing(runners) {
  const outputs = runners.flatMap((runner) => runner.outputs.filter(({ verdict }) => verdict === "unproven"));
  const names = [...new Set(outputs.map(({ name }) => name))];
  if (!names.length) return "All pass.";
  return `Nothing fails, but nothing is proven for ${firstNames(names)}: float32 itself is over 1 % off float64 there, or infinite.`;
}

/**
 * @param {readonly RunnerReport[]} runners
 * @returns {string} what was judged by its result alone: Python has no such operators
 */
function unevaluated(runners) {
  const names = [...new Set(runners.flatMap((runner) => Object.keys(runner.not_recomputed)))];
  return names.length
    ? ` Judged by the truth alone, as JavaScript can't compute it in float64: ${firstNames(names)}.`
    : "";
}

/** @param {readonly RunnerReport[]} runners @param {Facts} facts @returns {string} */
function largestError(runners, facts) {
  const found = runners.filter(({ largest_error: error }) => error?.introduced);
  if (!found.length) return "";
  const { name, largest_error: error } = first(found, (runner) => runner.largest_error?.introduced ?? 0);
  return error ? ` ${introducedWords(wordsOf(error.output, facts), name, error.introduced)}` : "";
}

/** @param {string} name @param {Facts} facts @returns {string} */
function wordsOf(name, facts) {
  const output = facts.get(name);
  return output ? operationWords(output) : name;
}

/** From this many times on, how many says nothing: hardly any error is permitted there. */
const SAYS_NOTHING = 1e9;

/** @param {string} operation @param {string} runner @param {number} error @returns {string} */
function introducedWords(operation, runner, error) {
  return `${operation} introduced the largest error in ${runner}: ${factor(error)} times what its arithmetic may lose.`;
}

/** @param {RunnerReport} runner @param {Facts} facts @returns {string} */
function culpritWords(runner, facts) {
  const { culprit, outputs } = runner,
    found = outputs.find(({ name }) => name === culprit?.output);
  if (!culprit || !found) return "";
  let operation = wordsOf(found.name, facts);
  if (culprit.accumulated) {
    const off = found.drift === null ? VERDICTS[found.verdict].words : `is ${times(found.drift)} off`;
    return `No operation errs by itself in ${runner.name}, but what each may lose adds up: ${operation} ${off}.`;
  }
  if (culprit.or_one_of.length) {
    const where = runner.given ? "in the file" : "an output";
    operation += `, or an operation before it that is not ${where} (${firstNames(culprit.or_one_of)}),`;
  }
  if (culprit.introduced !== null) return introducedWords(operation, runner.name, culprit.introduced);
  if (found.drift === null) return `${operation} ${VERDICTS[found.verdict].words} in ${runner.name}.`;
  return `${operation} is the first that drifts in ${runner.name}: ${times(found.drift)}.`;
}

/** @param {RunnerReport} runner @returns {string} */
function whoseFault({ culprit }) {
  if (!culprit || culprit.accumulated) return "";
  if (culprit.cause === "export") {
    const differences = culprit.differences
      .slice(0, 3)
      .map((each) => `; ${each}`)
      .join("");
    return ` The ONNX file is at fault: evaluated in float64, it still differs from the model${differences}.`;
  }
  if (culprit.cause === "runtime")
    return " The runtime is at fault, or its settings: that operation's inputs were right.";
  if (culprit.introduced !== null)
    return " That operation's inputs were right: the runner's own file, the runtime or its settings are at fault.";
  return "";
}

/**
 * The other operations at which the file is at fault.
 *
 * @param {RunnerReport} worst
 * @param {readonly RunnerReport[]} runners
 * @returns {string}
 */
function otherFaults({ culprit }, runners) {
  const file = runners.find(({ name }) => name === FILE_RUNNER);
  if (!file || culprit?.cause !== "export") return "";
  const others = file.outputs.filter((each) => failed(each) && each.name !== culprit.output).map(({ name }) => name);
  return others.length ? ` It is at fault at ${firstNames(others)}, too.` : "";
}

/**
 * Whether the model's results feel what the culprit does.
 *
 * @param {RunnerReport} worst
 * @param {readonly RunnerReport[]} wrong
 * @returns {string}
 */
function felt(worst, wrong) {
  const { culprit } = worst;
  if (!culprit || culprit.accumulated) return "";
  // A runtime's results are measured by float32's own error, the file's in float64 are not.
  const same = [worst, ...wrong].filter((each) => each.culprit?.output === culprit.output);
  const { name, result } = same.find((each) => each.name !== FILE_RUNNER) ?? same[0];
  if (!result) return "";
  const passes = result.drift !== null && result.drift <= passingDrift(name);
  return `${passes ? " The model's results pass all the same:" : " The result"} ${result.name} ${resultWords(result, name)}.`;
}

/**
 * How far a result of the model is off in a runner, as the end of a sentence.
 *
 * @param {OutputComparison} result
 * @param {string} runner
 * @returns {string}
 */
function resultWords(result, runner) {
  if (result.drift === null) return VERDICTS[result.verdict].words;
  if (runner === FILE_RUNNER)
    return `is off by ${general(result.relative_to_scale ?? NaN, 3)} of its largest value in float64`;
  return `is off by ${times(result.drift)}, of ${general(passingDrift(runner), 6)} that pass`;
}

/** @param {RunnerReport} worst @param {readonly RunnerReport[]} wrong @returns {string} */
function also(worst, wrong) {
  const others = wrong
    .filter((runner) => runner !== worst)
    .map((runner) => {
      const elsewhere = runner.culprit && runner.culprit.output !== worst.culprit?.output;
      return elsewhere ? `${runner.name} (at ${runner.culprit?.output})` : runner.name;
    });
  return others.length ? ` ${others.join(", ")} ${others.length === 1 ? "fails" : "fail"}, too.` : "";
}

/** @param {number} drift @returns {string} */
const times = (drift) => `${factor(drift)} times float32's own error`;

/** @param {number} error @returns {string} */
const factor = (error) => (error < SAYS_NOTHING ? general(error, 3) : "more than a billion");
