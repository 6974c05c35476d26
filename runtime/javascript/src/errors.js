// The errors that a user can fix, by the names that they have in Python, each with the command line's exit code.
//
// A message says in one or two lines what was requested, what exists, and what to do next.

export class LayerprobeError extends Error {
  /** @readonly @type {number} */
  exitCode = 3;

  get name() {
    return this.constructor.name;
  }
}

/** An argument has an invalid value. */
export class UsageError extends LayerprobeError {
  /** @readonly */
  exitCode = 2;
}

/** The artifact is missing, altered, of another format version, or contradicts itself. */
export class ArtifactError extends LayerprobeError {}

/** An image has no pixels, none with a defined range, or too many. */
export class ImageError extends LayerprobeError {}

/** A tensor doesn't match the model's input, or a file of tensors can't be read. */
export class InputError extends LayerprobeError {}

/** A runtime failed while it opened or ran the model. */
export class ExecutionError extends LayerprobeError {}

/** A requested runtime can't be used here. */
export class RunnerUnavailable extends LayerprobeError {
  /** @readonly */
  exitCode = 4;
}

/**
 * The first line of what was thrown, cut to 200 characters: other libraries' messages can fill pages.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function firstLine(error) {
  const said = error instanceof Error ? error.message || error.name : String(error);
  const line = said.trim().split(/\r?\n/, 1)[0] || "unknown error";
  return line.length <= 200 ? line : `${line.slice(0, 199)}…`;
}
