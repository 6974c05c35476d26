// Protobuf messages on the wire: a sequence of fields, each a key (number and type) and its content.

/** What isn't a message, or not what it is taken for. */
export class NotMessage extends Error {}

const DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const NUMBER = 0,
  EIGHT = 1,
  LENGTH = 2,
  FOUR = 5;

/**
 * @typedef {object} Field
 * @property {number} number
 * @property {number} wire its type there
 * @property {Uint8Array} bytes its content, of a text, of bytes, of a message; also of a number of fixed size
 * @property {bigint} value of a number
 */

/** @param {Uint8Array} bytes @returns {Generator<Field>} @throws {NotMessage} it is none, or is truncated */
export function* fields(bytes) {
  let at = 0;
  while (at < bytes.length) {
    const [key, begin] = varint(bytes, at),
      number = Number(key >> 3n),
      wire = Number(key & 7n);
    let value = 0n,
      from = begin,
      end = begin;
    if (wire === NUMBER) [value, end] = varint(bytes, begin);
    else if (wire === LENGTH) {
      const [length, content] = varint(bytes, begin);
      from = content;
      end = content + Number(length);
    } else if (wire === EIGHT || wire === FOUR) end = begin + (wire === EIGHT ? 8 : 4);
    else throw new NotMessage("it is not a protobuf message");
    if (!(end <= bytes.length)) throw new NotMessage("it is truncated");
    yield { number, wire, bytes: bytes.subarray(from, end), value };
    at = end;
  }
}

/** @param {Uint8Array} bytes @param {number} at @returns {[bigint, number]} seven bits per byte, and where it ends */
function varint(bytes, at) {
  let low = 0;
  for (let place = 0; place < 4; place++) {
    const byte = bytes[at + place];
    if (byte === undefined) throw new NotMessage("it is truncated");
    low += (byte & 127) * 2 ** (7 * place);
    if (byte < 128) return [BigInt(low), at + place + 1];
  }
  let value = BigInt(low);
  for (let place = 4; place < 10; place++) {
    const byte = bytes[at + place];
    if (byte === undefined) throw new NotMessage("it is truncated");
    value |= BigInt(byte & 127) << BigInt(7 * place);
    if (byte < 128) return [value, at + place + 1];
  }
  throw new NotMessage("it is not a protobuf message");
}

/** @param {{ bytes: Uint8Array }} field @returns {string} @throws {NotMessage} it is not UTF-8 */
export function text({ bytes }) {
  try {
    return DECODER.decode(bytes);
  } catch {
    throw new NotMessage("a text in it is not UTF-8");
  }
}

/** @param {Field} field @returns {number} a signed number of 64 bits, rounded to what a double holds */
export const integer = ({ value }) => Number(BigInt.asIntN(64, value));

/** @param {Field} field @returns {number} of an enum or int32: the lower 32 bits of the number; NaN if it is none */
export const enumValue = ({ wire, value }) => (wire === NUMBER ? Number(BigInt.asIntN(32, value)) : NaN);

/** @param {Field} field @returns {number[]} one number, or several packed together */
export function integers(field) {
  if (field.wire === NUMBER) return [integer(field)];
  const found = [];
  for (let at = 0; at < field.bytes.length;) {
    const [value, end] = varint(field.bytes, at);
    found.push(Number(BigInt.asIntN(64, value)));
    at = end;
  }
  return found;
}

/** @param {Field} field @returns {number[]} one float of 32 bits, or several packed together */
export function floats({ bytes }) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: Math.floor(bytes.length / 4) }, (_, place) => view.getFloat32(4 * place, true));
}
