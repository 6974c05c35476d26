// Protobuf messages on the wire, split into their fields without reading what is in them.

/**
 * @typedef {object} Field its content reaches from `start` to `end`
 * @property {number} number
 * @property {number} start
 * @property {number} end
 */

const LENGTH_OF_KIND = new Map([
  [1, 8],
  [5, 4],
]);
/** Bytes of a varint: 64 bits, seven in each. */
const LONGEST_NUMBER = 10;

/**
 * @param {Uint8Array} message
 * @param {number} [start]
 * @param {number} [end]
 * @returns {Generator<Field>}
 * @throws {Error} it is not a message, or is truncated
 */
export function* fields(message, start = 0, end = message.length) {
  for (let at = start; at < end;) {
    const [key, content] = numberAt(message, at, end);
    const kind = key % 8;
    let [from, length] = [content, LENGTH_OF_KIND.get(kind) ?? 0];
    if (kind === 2) [length, from] = numberAt(message, content, end);
    else if (kind === 0) length = numberAt(message, content, end)[1] - content;
    else if (!length) throw new Error("it is not a protobuf message");
    if (from + length > end) throw new Error("it is truncated");
    yield { number: Math.floor(key / 8), start: from, end: from + length };
    at = from + length;
  }
}

/**
 * @param {Uint8Array} message
 * @param {Field} field a varint
 * @returns {number}
 */
export function numberIn(message, field) {
  return numberAt(message, field.start, field.end)[0];
}

/**
 * @param {Uint8Array} message
 * @param {Field} field
 * @returns {string}
 * @throws {Error} it is not UTF-8
 */
export function textIn(message, field) {
  return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(message.subarray(field.start, field.end));
}

/**
 * @param {Uint8Array} message
 * @param {number} at
 * @param {number} end
 * @returns {[number, number]} the varint that starts there, and where it ends
 */
function numberAt(message, at, end) {
  let number = 0;
  for (let place = 0; place < LONGEST_NUMBER && at + place < end; place++) {
    const byte = message[at + place];
    number += (byte & 0x7f) * 2 ** (7 * place);
    if (byte < 0x80) return [number, at + place + 1];
  }
  throw new Error(end - at < LONGEST_NUMBER ? "it is truncated" : "it is not a protobuf message");
}
