// Which operation is to blame for a runner's failure, and whether the export or the runtime is, as data.

import { failed } from "./drift.js";
import { PASSING_DRIFT } from "./verdict_table.js";

/** @typedef {import("./drift.js").OutputComparison} OutputComparison */
/** @typedef {import("./error_shares.js").ErrorShare} ErrorShare */

/**
 * @typedef {object} Culprit as `verify --json` writes it
 * @property {string} output
 * @property {"export" | "runtime" | "unknown"} cause
 * @property {number | null} introduced
 * @property {string[]} or_one_of operations before it that are not outputs, so the error may be theirs
 * @property {boolean} accumulated no operation introduced more than it may; this result drifts all the same
 * @property {boolean} only_unprobed
 * @property {string[]} differences how the ONNX file's nodes there differ from those that were exported
 */

/**
 * Return the failed operation that introduced the largest error, or the result in which permitted errors added up; null
 * where nothing failed.
 *
 * @param {readonly OutputComparison[]} outputs in the order of execution
 * @param {ReadonlyMap<string, ErrorShare>} shares
 * @param {ReadonlyMap<string, number> | null} faults outputs at which the ONNX file itself is wrong, each with its largest
 *     error there; null for a runner that reads another file
 * @param {ReadonlyMap<string, readonly string[]>} unexported by output, operations before it that are not outputs
 * @param {number} passingError the largest error that an operation may introduce
 * @returns {Culprit | null}
 */
export function findCulprit(outputs, shares, faults, unexported, passingError) {
  /** @param {OutputComparison} output */
  const severity = ({ name, drift }) => shares.get(name)?.introduced ?? (drift === null ? Infinity : PASSING_DRIFT);
  const wrong = outputs.filter(failed);
  if (!wrong.length) return null;
  if (wrong.every(({ name }) => (shares.get(name)?.introduced ?? Infinity) <= passingError)) {
    const furthest = first(wrong, ({ drift }) => drift ?? Infinity),
      introduced = shares.get(furthest.name)?.introduced ?? null;
    return { ...culprit(furthest.name, "unknown", introduced), accumulated: true };
  }
  const worst = first(wrong, severity),
    share = shares.get(worst.name),
    introduced = share?.introduced ?? Infinity;
  // Where the file is only a little wrong and the runner far more, the runtime is at fault.
  const own = faults?.get(worst.name),
    isExport = own !== undefined && 2 * own >= (worst.max_abs ?? Infinity);
  const cause = isExport ? "export" : share && faults ? "runtime" : "unknown";
  return {
    ...culprit(worst.name, cause, Number.isFinite(introduced) ? introduced : null),
    or_one_of: [...(unexported.get(worst.name) ?? [])],
  };
}

/** @param {string} output @param {Culprit["cause"]} cause @param {number | null} introduced @returns {Culprit} */
function culprit(output, cause, introduced) {
  return { output, cause, introduced, or_one_of: [], accumulated: false, only_unprobed: false, differences: [] };
}

/**
 * @template T
 * @param {readonly T[]} all not empty
 * @param {(each: T) => number} size
 * @returns {T} the first of the largest
 */
export function first(all, size) {
  return all.reduce((best, each) => (size(each) > size(best) ? each : best));
}
