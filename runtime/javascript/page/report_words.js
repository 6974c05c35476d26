// What a report says of a runner and of an output, in the words of the HTML report (runtime/reporting/).

import { general, withMinus } from "../src/number_words.js";

/** @typedef {any} Runner a runner of a report, as `verify --json` writes it */

/** @type {Record<string, string>} */
const CAUSES = {
  export: "the ONNX file differs from the model",
  runtime: "the runtime, or its settings",
  unknown: "unknown",
};
const NAMES_SHOWN = 3;
const RANKS = { inherited: 2, unproven: 3, pass: 4 };

/**
 * How many outputs pass or fail.
 * @param {Runner} runner
 * @param {(verdict: import("../src/verdict/verdict_table.js").Verdict) => boolean} fails
 */
export function outcome(runner, fails) {
  const count = runner.outputs.length;
  const of = (/** @type {string} */ verdict) =>
    runner.outputs.filter((/** @type {any} */ each) => each.verdict === verdict).length;
  const failed = runner.outputs.filter((/** @type {any} */ each) => fails(each.verdict)).length;
  if (failed) {
    const victims = of("inherited");
    const inherit = victims ? `; ${victims} ${victims === 1 ? "inherits" : "inherit"} an error` : "";
    const fail = failed === 1 ? "fails" : "fail";
    return `${failed} of ${count} outputs ${fail}; the first is ${runner.first_failing} (${runner.verdict})${inherit}`;
  }
  if (of("unproven")) return `${of("pass")} of ${count} outputs pass, ${of("unproven")} can't be proven`;
  return `${runner.given?.absent.length ? "The" : "All"} ${count} outputs pass`;
}

/**
 * The culprit, or where the largest error was introduced in a runner that has none.
 * @param {Runner} runner
 * @returns {string}
 */
export function blame({ culprit, largest_error: error, given }) {
  if (!culprit) return error ? `Largest error introduced by ${error.output}: ${multiple(error.introduced)} ×.` : "";
  const where = given ? "in the file" : "an output";
  const others = culprit.or_one_of.length ? ` (or what is not ${where}: ${culprit.or_one_of.join(", ")})` : "";
  const how = culprit.accumulated ? "what each operation may lose adds up there" : "introduced";
  const amount = culprit.introduced === null ? "" : `; ${how}: ${multiple(culprit.introduced)} ×`;
  const differences = culprit.differences.map((/** @type {string} */ each) => `; ${each}`).join("");
  return `Culprit: ${culprit.output}${others}${amount}. Cause: ${CAUSES[culprit.cause]}${differences}.`;
}

/**
 * What no recorded input exercises.
 * @param {Record<string, string[]>} untried
 */
export function untriedWords(untried) {
  const entries = Object.entries(untried);
  if (!entries.length) return "";
  const some = entries
    .slice(0, NAMES_SHOWN)
    .map(([name, words]) => `${name} (${words.join(", ")})`)
    .join("; ");
  const are = entries.length === 1 ? "operation is" : "operations are";
  const more = entries.length > NAMES_SHOWN ? "; ..." : "";
  return `${entries.length} ${are} not tried in full by any recorded input, so a fault there would not show: ${some}${more}.`;
}

/**
 * The word for an output in a runner: `culprit`, or its verdict.
 * @param {Runner} runner
 * @param {any} found
 */
export function mark(runner, found) {
  return runner.culprit?.output === found.name ? "culprit" : found.verdict;
}

/**
 * The outputs of a runner, the worst first.
 * @param {Runner} runner
 * @returns {any[]}
 */
export function ranked(runner) {
  const rank = (/** @type {any} */ each) =>
    runner.culprit?.output === each.name ? 0 : (RANKS[/** @type {keyof typeof RANKS} */ (each.verdict)] ?? 1);
  const size = (/** @type {any} */ each) => (rank(each) === 1 ? each.introduced : null) ?? each.drift ?? Infinity;
  return [...runner.outputs].sort((one, other) => rank(one) - rank(other) || size(other) - size(one));
}

/**
 * A multiple of what is allowed, or a dash where there is none.
 * @param {number | null} value
 */
export function multiple(value) {
  if (value === null || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (value && !(size >= 1e-3 && size < 1e5)) {
    const [mantissa, exponent] = value.toExponential(2).split("e");
    return withMinus(`${mantissa.replace(/\.?0+$/, "")}e${Number(exponent)}`);
  }
  return size < 1000 ? general(value, 3) : value.toFixed(0);
}
