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
const BLANKS = [" ", "\t", "\n", "\r"];

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
  // No regular expression: of a string of megabytes, one runs out of stack.
  for (let at = 0; at < text.length; at++) {
    const letter = text[at];
    if (letter === "{" || letter === "[") open.push(letter === "{" ? new Set() : null);
    else if (letter === "}" || letter === "]") open.pop();
    else if (letter === '"') {
      const start = at++;
      while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
      // A name is a string before a colon; nothing else of JSON has one outside of strings.
      let next = at + 1;
      while (BLANKS.includes(text[next])) next++;
      if (text[next] === ":") addName(open[open.length - 1], JSON.parse(text.slice(start, at + 1)));
    }
  }
}

/**
 * @param {Set<string> | null} names of the object
 * @param {string} name
 */
function addName(names, name) {
  if (names?.has(name)) throw new Error(`an object has ${JSON.stringify(name.slice(0, 100))} twice`);
  names?.add(name);
}
