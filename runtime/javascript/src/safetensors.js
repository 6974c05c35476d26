// The safetensors format, both ways: 8 bytes with the length of the header, the header as JSON, the tensors without
// gaps. A header that anyone may have written is refused unless it says what the format allows.

import { InputError } from "./errors.js";
import { parseJson } from "./json.js";
import { DTYPES, shapeWords, sizeOf } from "./tensor.js";

/** @typedef {import("./tensor.js").DType} DType */
/** @typedef {import("./tensor.js").Elements} Elements */
/** @typedef {import("./tensor.js").Tensor} Tensor */
/** @typedef {import("./tensor.js").Tensors} Tensors */

/** The format's names of types. @type {Readonly<Record<string, DType>>} */
const TYPES = Object.freeze({
  BOOL: "bool",
  I8: "int8",
  I16: "int16",
  I32: "int32",
  I64: "int64",
  U8: "uint8",
  U16: "uint16",
  U32: "uint32",
  U64: "uint64",
  F16: "float16",
  BF16: "bfloat16",
  F32: "float32",
  F64: "float64",
});
const NAMES = new Map(Object.entries(TYPES).map(([name, dtype]) => [dtype, name]));
const LARGEST_HEADER_BYTES = 2 ** 26;
/** The reference implementation pads the header with blanks, so that the tensors are aligned. */
const ALIGNMENT = 8;

/**
 * @param {Uint8Array | ArrayBuffer} bytes the whole file
 * @returns {{tensors: Tensors, metadata: Map<string, string>}} tensors in the order of the file; where the file aligns
 *   them, they share its memory
 * @throws {InputError} it isn't a safetensors file, is truncated, or has a type that is unknown here
 */
export function readSafetensors(bytes) {
  const file = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
  const { header, start } = readHeader(file);
  /** @type {Map<string, string>} */
  const metadata = new Map();
  /** @type {[string, Entry][]} */
  const entries = [];
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") {
      for (const [key, value] of Object.entries(textsOnly(entry))) metadata.set(key, value);
    } else {
      entries.push([name, checkedEntry(name, entry)]);
    }
  }
  entries.sort(([, one], [, other]) => one.begin - other.begin || one.end - other.end);
  let end = 0;
  for (const [name, entry] of entries) {
    if (entry.begin !== end) throw damaged(`the tensor ${shown(name)} starts at ${entry.begin}, not at ${end}`);
    end = entry.end;
  }
  if (start + end !== file.length) {
    throw damaged(
      `it has ${file.length.toLocaleString("en-US")} bytes, and its header says ${(start + end).toLocaleString("en-US")}`,
    );
  }
  const tensors = new Map(entries.map(([name, entry]) => [name, tensorAt(file, start, entry)]));
  return { tensors, metadata };
}

/**
 * @param {Tensors} tensors
 * @param {Map<string, string> | Record<string, string>} [metadata]
 * @returns {Uint8Array} the file
 * @throws {InputError} a tensor has a name or a type that the format hasn't
 */
export function writeSafetensors(tensors, metadata = {}) {
  for (const [name, { dtype, shape, data }] of tensors) {
    if (!NAMES.has(dtype) || !(data instanceof DTYPES[dtype]) || data.length !== sizeOf(shape)) {
      throw new InputError(
        `${shown(name)} (${shapeWords(shape)}, ${dtype}) can't be written: it has ${data.length} elements.`,
      );
    }
  }
  const { header, names, size } = safetensorsHeader(tensors, metadata);
  const file = new Uint8Array(size);
  file.set(header);
  let at = header.length;
  for (const name of names) {
    const { data } = /** @type {Tensor} */ (tensors.get(name));
    file.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), at);
    at += data.byteLength;
  }
  return file;
}

/**
 * What stands in a file before the tensors, for one that is too large to be in memory at once.
 * @param {Iterable<[name: string, tensor: { dtype: DType, shape: readonly number[] }]>} tensors
 * @param {Map<string, string> | Record<string, string>} [metadata]
 * @returns {{ header: Uint8Array<ArrayBuffer>, names: string[], size: number }} the order of the tensors behind it: the
 *   widest elements first, then by name, as the reference implementation orders them; bytes of the whole file
 * @throws {InputError} a tensor has a name that the format hasn't
 */
export function safetensorsHeader(tensors, metadata = {}) {
  const width = (/** @type {{ dtype: DType }} */ { dtype }) => DTYPES[dtype].BYTES_PER_ELEMENT;
  const ordered = [...tensors].sort(([one, a], [other, b]) => width(b) - width(a) || (one < other ? -1 : 1));
  /** @type {Record<string, unknown>} */
  const entries = Object.create(null);
  const texts = Object.fromEntries(metadata instanceof Map ? metadata : Object.entries(metadata));
  if (Object.keys(texts).length) entries.__metadata__ = textsOnly(texts);
  let end = 0;
  for (const [name, tensor] of ordered) {
    if (name === "__metadata__") throw new InputError("A tensor can't be called __metadata__ in a safetensors file.");
    const { dtype, shape } = tensor;
    const begin = end;
    end += sizeOf(shape) * width(tensor);
    entries[name] = { dtype: NAMES.get(dtype), shape, data_offsets: [begin, end] };
  }
  const text = new TextEncoder().encode(JSON.stringify(entries));
  const length = Math.ceil(text.length / ALIGNMENT) * ALIGNMENT;
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(text, 8);
  return { header, names: ordered.map(([name]) => name), size: header.length + end };
}

/**
 * @typedef {object} Entry of a tensor, in bytes from the header's end
 * @property {DType} dtype
 * @property {number[]} shape
 * @property {number} begin
 * @property {number} end
 */

/**
 * @param {Uint8Array} file
 * @returns {{header: Record<string, unknown>, start: number}} and where the tensors start
 */
function readHeader(file) {
  if (file.length < 8) throw damaged(`it has ${file.length} bytes`);
  const length = Number(new DataView(file.buffer, file.byteOffset, 8).getBigUint64(0, true));
  if (length > LARGEST_HEADER_BYTES)
    throw damaged(`its header is said to have ${length.toLocaleString("en-US")} bytes`);
  if (8 + length > file.length) throw damaged("it is truncated in its header");
  /** @type {unknown} */
  let header;
  try {
    header = parseJson(file.subarray(8, 8 + length), LARGEST_HEADER_BYTES);
  } catch (error) {
    throw damaged(`its header is no JSON (${/** @type {Error} */ (error).message})`);
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) throw damaged("its header is no object");
  return { header: /** @type {Record<string, unknown>} */ (header), start: 8 + length };
}

/**
 * @param {string} name
 * @param {unknown} entry
 * @returns {Entry}
 */
function checkedEntry(name, entry) {
  const { dtype, shape, data_offsets: offsets } = /** @type {any} */ (entry ?? {});
  const known = typeof dtype === "string" && Object.hasOwn(TYPES, dtype) ? TYPES[dtype] : undefined;
  if (!known) throw damaged(`the tensor ${shown(name)} has the type ${shown(String(dtype))}, which is unknown here`);
  const sizes = Array.isArray(shape) && shape.every(isSize) ? shape : undefined;
  if (!sizes || !Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw damaged(`the tensor ${shown(name)} has no shape or place`);
  }
  const [begin, end] = offsets;
  if (end - begin !== sizeOf(sizes) * DTYPES[known].BYTES_PER_ELEMENT) {
    throw damaged(`the tensor ${shown(name)} has ${end - begin} bytes, and its shape is ${shapeWords(sizes)}`);
  }
  return { dtype: known, shape: sizes, begin, end };
}

/**
 * @param {unknown} value
 * @returns {boolean}
 */
function isSize(value) {
  return Number.isSafeInteger(value) && /** @type {number} */ (value) >= 0;
}

/**
 * @param {Uint8Array} file
 * @param {number} start
 * @param {Entry} entry
 * @returns {Tensor}
 */
function tensorAt(file, start, { dtype, shape, begin, end }) {
  const kind = DTYPES[dtype];
  const at = file.byteOffset + start + begin;
  const number = (end - begin) / kind.BYTES_PER_ELEMENT;
  const aligned = at % kind.BYTES_PER_ELEMENT === 0;
  // A typed array can't start between two of its elements: there, the bytes are copied.
  const place = /** @type {[ArrayBuffer, number, number]} */ (
    aligned ? [file.buffer, at, number] : [file.slice(start + begin, start + end).buffer, 0, number]
  );
  return { dtype, shape, data: new kind(...place) };
}

/**
 * @param {unknown} metadata
 * @returns {Record<string, string>}
 */
function textsOnly(metadata) {
  const isObject = typeof metadata === "object" && metadata !== null && !Array.isArray(metadata);
  if (!isObject || !Object.values(metadata).every((value) => typeof value === "string")) {
    throw damaged("its metadata are not texts by name");
  }
  return /** @type {Record<string, string>} */ (metadata);
}

/**
 * @param {string} text from the file
 * @returns {string}
 */
function shown(text) {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 99)}…` : text);
}

/**
 * @param {string} reason
 * @returns {InputError}
 */
function damaged(reason) {
  return new InputError(`The file can't be read as safetensors: ${reason}.\nWrite or copy it again.`);
}
