// A runner's report from what was found of its outputs, as data: what `verify --json` writes (artifacts/report.schema.json).

import { findCulprit, first } from "./blame.js";
import { failed, passingVerdict } from "./drift.js";

/** @typedef {import("./blame.js").Culprit} Culprit */
/** @typedef {import("./drift.js").OutputComparison} OutputComparison */
/** @typedef {import("./error_shares.js").ErrorShare} ErrorShare */
/** @typedef {import("./verdict_table.js").Verdict} Verdict */

/**
 * @typedef {object} InputReport one of the recorded inputs in one runner
 * @property {string} name
 * @property {readonly (readonly number[])[]} shapes
 * @property {Verdict} verdict
 * @property {number | null} drift
 * @property {string | null} output the one that has it
 */

/**
 * @typedef {object} GivenReport
 * @property {string[]} absent the outputs that were not given
 * @property {string[]} sampled outputs of which the sample only was
 * @property {Record<string, number[]>} reordered
 * @property {string[]} unknown tensors that are neither outputs nor inputs
 */

/**
 * @typedef {object} RunnerReport
 * @property {string} name
 * @property {Verdict} verdict that of the first output, in the order of execution, that fails
 * @property {string | null} first_failing
 * @property {Culprit | null} culprit
 * @property {string[]} providers
 * @property {string[]} misplaced
 * @property {Record<string, string>} facts
 * @property {OutputComparison[]} outputs
 * @property {OutputComparison | null} result of the model's results, the one that drifts most
 * @property {string} recorded_input
 * @property {InputReport[]} inputs
 * @property {null} unprobed
 * @property {GivenReport | null} given
 * @property {null} error
 * @property {Record<string, string>} other_kinds
 * @property {{ output: string, introduced: number } | null} largest_error
 * @property {Record<string, string>} not_recomputed outputs that float64 can't compute in JavaScript, each with the reason:
 *     they are judged by the truth alone
 */

/**
 * @typedef {object} Runner
 * @property {string} name
 * @property {string[]} providers
 * @property {Record<string, string>} facts
 * @property {boolean} readsOnnx whether it executes model.onnx, so that a fault of that file is also its own
 */

/**
 * @typedef {object} Found what is known of a runner on one recorded input
 * @property {OutputComparison[]} outputs settled
 * @property {ReadonlyMap<string, ErrorShare>} shares
 * @property {ReadonlyMap<string, number>} faults of the ONNX file
 * @property {ReadonlyMap<string, readonly string[]>} unexported by output, operations before it that are not outputs
 * @property {number} passingError
 * @property {readonly string[]} results
 * @property {{ name: string, shapes: readonly (readonly number[])[] }} input
 */

/** @param {Runner} runner @param {Found} found @returns {RunnerReport} */
export function runnerReport(runner, { outputs, shares, faults, unexported, passingError, results, input }) {
  const wrong = outputs.filter(failed),
    shown = outputs.map((output) => withShare(output, shares.get(output.name)));
  const own = shown.filter(({ name }) => results.includes(name)),
    measured = shown.filter(({ introduced }) => introduced !== null);
  const worst = measured.length ? first(measured, ({ introduced }) => Number(introduced)) : null;
  return {
    name: runner.name,
    verdict: wrong.length ? wrong[0].verdict : passingVerdict(outputs),
    first_failing: wrong.length ? wrong[0].name : null,
    culprit: findCulprit(outputs, shares, runner.readsOnnx ? faults : null, unexported, passingError),
    providers: runner.providers,
    misplaced: [],
    facts: runner.facts,
    outputs: shown,
    result: own.length ? first(own, sizeOfDrift) : null,
    recorded_input: input.name,
    inputs: [inputReport(outputs, input)],
    unprobed: null,
    given: null,
    error: null,
    other_kinds: {},
    largest_error: worst && { output: worst.name, introduced: Number(worst.introduced) },
    not_recomputed: {},
  };
}

/** @param {OutputComparison} output */
const sizeOfDrift = ({ drift }) => drift ?? Infinity;

/** @param {readonly OutputComparison[]} outputs @param {Found["input"]} input @returns {InputReport} */
function inputReport(outputs, { name, shapes }) {
  const wrong = outputs.filter(failed),
    among = wrong.length ? wrong : outputs;
  const worst = among.length ? first(among, sizeOfDrift) : null;
  return {
    name,
    shapes,
    verdict: wrong.length && worst ? worst.verdict : "pass",
    drift: worst?.drift ?? null,
    output: worst?.name ?? null,
  };
}

/** @param {OutputComparison} output @param {ErrorShare | undefined} share @returns {OutputComparison} */
function withShare(output, share) {
  const measured = share && Number.isFinite(share.introduced) && Number.isFinite(share.inherited);
  return measured ? { ...output, ...share } : output;
}

/**
 * Return a runner's outputs with the verdicts that follow from their shares: what introduced more than it may fails, as
 * does what is wrong and can't be split; what is wrong but introduced little inherits it. Where nothing is at fault, errors
 * that each operation may make add up: that fails a result of the model, and no output on the way.
 *
 * @param {readonly OutputComparison[]} outputs
 * @param {ReadonlyMap<string, ErrorShare>} shares
 * @param {readonly string[]} results
 * @param {number} passingError
 * @returns {OutputComparison[]}
 */
export function settled(outputs, shares, results, passingError) {
  const guilty = atFault(outputs, shares, passingError);
  return outputs.map((output) => {
    const { name, verdict } = output;
    if (guilty.has(name)) return failed(output) ? output : { ...output, verdict: "drift" };
    if (failed(output) && guilty.size) return { ...output, verdict: "inherited" };
    const proven = shares.has(name) && !results.includes(name);
    return proven && (verdict === "drift" || verdict === "unproven") ? { ...output, verdict: "pass" } : output;
  });
}

/**
 * @param {readonly OutputComparison[]} outputs
 * @param {ReadonlyMap<string, ErrorShare>} shares
 * @param {number} passingError
 * @returns {Set<string>} the outputs that introduced more than they may, or are wrong and can't be split
 */
export function atFault(outputs, shares, passingError) {
  const guilty = outputs.filter((output) => {
    const share = shares.get(output.name);
    return share ? share.introduced > passingError : failed(output);
  });
  return new Set(guilty.map(({ name }) => name));
}

/**
 * @param {RunnerReport} report
 * @param {RunnerReport} other on one more recorded input
 * @returns {RunnerReport} that of the first input that fails, with all inputs listed
 */
export function joined(report, other) {
  const shown = failed(other) && !failed(report) ? other : report;
  return { ...shown, inputs: [...report.inputs, ...other.inputs] };
}
