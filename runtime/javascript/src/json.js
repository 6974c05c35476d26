// JSON that anyone may have written: of bounded size, and no name twice in one object, where another reader might take
// the other value.

/**
 * @param {Uint8Array} bytes
 * @param {number} [most] bytes; by default those of a manifest
 * @returns {unknown} objects have no prototype, so that a name in them is only what the document says
 * @throws {Error} it is too large, not UTF-8, not JSON, or has a name twice
 */
export function parseJson(bytes, most = LARGEST_DOCUMENT_BYTES) {
  if (bytes.length > most) throw new Error(`it has more than ${most.toLocaleString("en-US")} bytes`);
  const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  const found = JSON.parse(text, (_, value) => (isObject(value) ? Object.assign(Object.create(null), value) : value));
  refuseDoubles(text);
  return found;
}

/** Of JSON. */
export const LARGEST_DOCUMENT_BYTES = 2 ** 24;

/**
 * @param {unknown} value
 * @returns {value is Record<string, unknown>}
 */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * @param {string} text valid JSON
 */
function refuseDoubles(text) {
  /** The names so far of each object that is open; null of an array. @type {(Set<string> | null)[]} */
  const open = [];
  // A name is a string before a colon; nothing else of JSON has one outside of strings.
  for (const [, bracket, string, colon] of text.matchAll(/([[\]{}])|("(?:[^"\\]|\\.)*")\s*(:)?/g)) {
    if (bracket === "{" || bracket === "[") open.push(bracket === "{" ? new Set() : null);
    else if (bracket) open.pop();
    else if (colon) {
      const names = /** @type {Set<string>} */ (open[open.length - 1]);
      const name = JSON.parse(string);
      if (names.has(name)) throw new Error(`an object has ${JSON.stringify(name.slice(0, 100))} twice`);
      names.add(name);
    }
  }
}
