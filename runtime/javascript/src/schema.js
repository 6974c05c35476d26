// What a JSON document may say, as checks that are put together: each takes a value and its path, and returns the value
// as it is used, or throws a `SchemaError` that names the first field that is wrong.

import { oneLine } from "./plain_text.js";

/** @typedef {(value: unknown, path: string) => any} Check */

export class SchemaError extends Error {
  /**
   * @param {string} path of the field: `outputs.0.name`
   * @param {string} reason
   */
  constructor(path, reason) {
    super(`${oneLine(path, 100) || "document"}: ${oneLine(reason, 200)}`);
  }
}

/** @type {Check} */
export function line(value, path) {
  if (typeof value !== "string") throw new SchemaError(path, "it is not a text");
  return oneLine(value);
}

/**
 * @param {RegExp} pattern of the whole text
 * @param {number} longest characters
 * @param {string} what it is, for the message
 * @returns {Check}
 */
export function matching(pattern, longest, what) {
  return (value, path) => {
    const fits = typeof value === "string" && value.length <= longest && pattern.test(value);
    if (!fits) throw new SchemaError(path, `it is not ${what}`);
    return value;
  };
}

/**
 * @param {readonly unknown[]} values
 * @returns {Check}
 */
export function oneOf(values) {
  return (value, path) => {
    if (!values.includes(value)) throw new SchemaError(path, `it is none of ${values.join(", ")}`);
    return value;
  };
}

/**
 * @param {number} least
 * @param {number} most
 * @returns {Check}
 */
export function number(least, most) {
  return (value, path) => {
    const fits = typeof value === "number" && value >= least && value <= most;
    if (!fits) throw new SchemaError(path, `it is not a number from ${least} to ${most}`);
    return value;
  };
}

/**
 * @param {number} least
 * @param {number} most
 * @returns {Check}
 */
export function whole(least, most) {
  return (value, path) => {
    const fits =
      Number.isInteger(value) && /** @type {number} */ (value) >= least && /** @type {number} */ (value) <= most;
    if (!fits) throw new SchemaError(path, `it is not a whole number from ${least} to ${most}`);
    return value;
  };
}

/** @type {Check} */
export function flag(value, path) {
  if (typeof value !== "boolean") throw new SchemaError(path, "it is neither true nor false");
  return value;
}

/**
 * @param {Check} check
 * @returns {Check}
 */
export function nullable(check) {
  return (value, path) => (value === null ? null : check(value, path));
}

/**
 * @param {Check} check of each entry
 * @param {number} [least] entries
 * @param {number} [most]
 * @returns {Check}
 */
export function list(check, least = 0, most = Infinity) {
  return (value, path) => {
    if (!Array.isArray(value)) throw new SchemaError(path, "it is not a list");
    if (value.length < least || value.length > most) throw new SchemaError(path, `it has ${value.length} entries`);
    return Object.freeze(value.map((entry, place) => check(entry, joined(path, String(place)))));
  };
}

/**
 * @param {Check} key of each name
 * @param {Check} check of each value
 * @param {number} [least] entries
 * @returns {Check} of an object whose names are the document's own; it has no prototype
 */
export function dictionary(key, check, least = 0) {
  return (value, path) => {
    const entries = Object.entries(asObject(value, path));
    if (entries.length < least) throw new SchemaError(path, "it is empty");
    const found = Object.create(null);
    for (const [name, entry] of entries) found[key(name, path)] = check(entry, joined(path, name));
    return Object.freeze(found);
  };
}

/**
 * @param {Record<string, Check>} fields
 * @param {Record<string, unknown>} [defaults] of fields that may be absent
 * @returns {Check} of an object that has these fields and no other
 */
export function record(fields, defaults = {}) {
  return (value, path) => {
    const given = asObject(value, path);
    const unknown = Object.keys(given).find((name) => !Object.hasOwn(fields, name));
    if (unknown !== undefined) throw new SchemaError(joined(path, unknown), "the field is unknown");
    /** @type {Record<string, unknown>} */
    const found = {};
    for (const [name, check] of Object.entries(fields)) {
      if (Object.hasOwn(given, name)) found[name] = check(given[name], joined(path, name));
      else if (Object.hasOwn(defaults, name)) found[name] = defaults[name];
      else throw new SchemaError(joined(path, name), "the field is missing");
    }
    return Object.freeze(found);
  };
}

/**
 * @param {unknown} value
 * @param {string} path
 * @returns {Record<string, unknown>}
 */
function asObject(value, path) {
  const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
  if (!isObject) throw new SchemaError(path, "it is not an object");
  return /** @type {Record<string, unknown>} */ (value);
}

/**
 * @param {string} path
 * @param {string} name
 * @returns {string}
 */
function joined(path, name) {
  return path ? `${path}.${name}` : name;
}
