// Whether what a manifest says of its tensors can be true: names, types, sizes, layouts.

import { SchemaError } from "./schema.js";
import { DTYPES, shapeWords } from "./tensor.js";

/** @typedef {import("./manifest.js").Input} Input */
/** @typedef {import("./manifest.js").Output} Output */

/** `N`, `2*N`, `H/2`, `W?`, `HW?`, `?`. */
const SYMBOL = /^(?:(?:[1-9]\d{0,8}\*)?[NHW](?:\/[1-9]\d{0,8})?|(?:H|W|HW|WH)?\?)$/;
const LETTERS = /^[NCDHWL?]*$/;
/** Of one tensor, with 1 in place of each symbol: four terabytes of float32. */
const MOST_ELEMENTS = 2 ** 40;

/**
 * @param {readonly Input[]} inputs
 * @throws {SchemaError}
 */
export function checkInputs(inputs) {
  /** @type {Set<string>} */
  const names = new Set();
  for (const entry of inputs) {
    checkName(entry.name, names);
    checkTensor(`the input ${quoted(entry.name)}`, entry);
    if (entry.shape.includes(0)) throw wrong(`the input ${quoted(entry.name)} has an axis of size 0`);
  }
}

/**
 * @param {readonly Output[]} outputs in the order of execution
 * @param {readonly Input[]} inputs
 * @throws {SchemaError}
 */
export function checkOutputs(outputs, inputs) {
  const names = new Set(inputs.map((entry) => entry.name));
  for (const output of outputs) {
    const { alias_of: alias } = output;
    if (alias !== null && !names.has(alias)) {
      throw wrong(`${quoted(output.name)} is an alias of ${quoted(alias)}, which does not come before it`);
    }
    checkName(output.name, names);
    checkTensor(quoted(output.name), output);
    checkLayout(output);
  }
}

/**
 * @param {Readonly<Record<string, string>>} results
 * @param {readonly Output[]} outputs
 * @throws {SchemaError}
 */
export function checkResults(results, outputs) {
  const names = new Set(outputs.map((output) => output.name));
  const unknown = Object.values(results).find((name) => !names.has(name));
  if (unknown !== undefined) throw wrong(`the result ${quoted(unknown)} is not among the outputs`);
}

/**
 * @param {string} name
 * @param {Set<string>} names
 */
function checkName(name, names) {
  if (!name) throw wrong("a name is empty");
  if (names.has(name)) throw wrong(`the name ${quoted(name)} is listed twice`);
  names.add(name);
}

/**
 * @param {string} what
 * @param {Input} tensor
 */
function checkTensor(what, { shape, dtype }) {
  if (!Object.hasOwn(DTYPES, dtype) && dtype !== "complex64" && dtype !== "complex128") {
    throw wrong(`${what} has the unknown type ${quoted(dtype)}`);
  }
  const unknown = shape.find((size) => typeof size === "string" && !SYMBOL.test(size));
  if (unknown !== undefined) throw wrong(`${what} has the unknown size ${quoted(String(unknown))}`);
  const elements = shape.reduce(
    (/** @type {number} */ product, size) => product * (typeof size === "number" ? size || 1 : 1),
    1,
  );
  if (elements > MOST_ELEMENTS) throw wrong(`${what} has the impossible size ${shape.join(" x ")}`);
}

/** @param {Output} output */
function checkLayout({ name, layout, shape, tokens, averaged }) {
  const known = [...layout].filter((letter) => letter !== "?");
  if (!LETTERS.test(layout) || new Set(known).size < known.length) {
    throw wrong(`${quoted(name)} has the unknown layout ${quoted(layout)}`);
  }
  if (layout.length !== shape.length) {
    throw wrong(`${quoted(name)} has the layout ${quoted(layout)}, which doesn't fit its shape, ${shapeWords(shape)}`);
  }
  if (averaged !== null && (layout !== "NCHW" || shape[1] !== 1)) {
    throw wrong(`${quoted(name)} is the mean of ${averaged} channels, and it is no N x 1 x H x W`);
  }
  if (tokens === null) return;
  if (layout !== "NLC") throw wrong(`${quoted(name)} has tokens, and its layout is ${quoted(layout)}`);
  const laidOut = tokens.before + tokens.height * tokens.width + tokens.after;
  if (typeof shape[1] === "number" && shape[1] !== laidOut) {
    throw wrong(`${quoted(name)} has ${shape[1]} tokens, of which ${laidOut} are laid out`);
  }
}

/** @param {string} text */
function quoted(text) {
  return `'${text}'`;
}

/** @param {string} reason */
function wrong(reason) {
  return new SchemaError("", reason);
}
