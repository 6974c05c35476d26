// Which way up a photo is to be shown, as its EXIF block says: read from the file's own bytes, as a decoder may turn the
// picture, or not, and say neither. What is damaged counts as upright, as photo viewers have it.

const ORIENTATION = 0x0112;
const [SHORT, LONG] = [3, 4];
/** Adobe's XMP, which Pillow asks where EXIF says nothing. */
const IN_XMP = /tiff:Orientation(?:="|>)([0-9])/;
const XMP_OF_PNG = "XML:com.adobe.xmp\0";
const XMP_OF_JPEG = "http://ns.adobe.com/xap/1.0/\0";
const EXIF_START = "Exif\0\0";

/**
 * @param {Uint8Array} file a JPEG, PNG, WebP or TIFF
 * @returns {number} EXIF's orientation, 1 to 8; 1 if it says none, or is another kind of file
 */
export function readOrientation(file) {
  try {
    const { exif, xmp } = blocks(file);
    const said = (exif && inTiff(exif)) ?? Number(IN_XMP.exec(xmp ?? "")?.[1] ?? 1);
    return said >= 1 && said <= 8 ? said : 1;
  } catch (error) {
    if (error instanceof RangeError) return 1; // what a DataView throws beyond the end
    throw error;
  }
}

/**
 * @typedef {object} Blocks
 * @property {Uint8Array} [exif] a TIFF file
 * @property {string} [xmp]
 */

/**
 * @param {Uint8Array} file
 * @returns {Blocks}
 */
function blocks(file) {
  const start = latin(file, 0, 12);
  if (start.startsWith("\xff\xd8")) return ofJpeg(file);
  if (start.startsWith("\x89PNG\r\n\x1a\n")) return ofPng(file);
  if (start.startsWith("RIFF") && start.endsWith("WEBP")) return ofWebp(file);
  return /^(II\*\0|MM\0\*)/.test(start) ? { exif: file } : {};
}

/**
 * @param {Uint8Array} file
 * @returns {Blocks}
 */
function ofJpeg(file) {
  const view = viewOf(file);
  /** @type {Blocks} */
  const found = {};
  for (let at = 2; at + 4 <= file.length && file[at] === 0xff;) {
    const marker = file[at + 1];
    if (marker === 0xff) {
      at += 1; // a fill byte
      continue;
    }
    // From the scan on, there are pixels.
    if (marker === 0xda || marker === 0xd9) break;
    const end = at + 2 + view.getUint16(at + 2);
    const content = file.subarray(at + 4, end);
    if (marker === 0xe1 && latin(content, 0, 6) === EXIF_START) found.exif ??= content.subarray(6);
    if (marker === 0xe1 && latin(content, 0, 29) === XMP_OF_JPEG) found.xmp ??= latin(content, 29);
    at = Math.max(end, at + 4);
  }
  return found;
}

/**
 * @param {Uint8Array} file
 * @returns {Blocks}
 */
function ofPng(file) {
  const view = viewOf(file);
  /** @type {Blocks} */
  const found = {};
  for (let at = 8; at + 12 <= file.length; at += 12 + view.getUint32(at)) {
    const kind = latin(file, at + 4, at + 8);
    const content = file.subarray(at + 8, at + 8 + view.getUint32(at));
    if (kind === "eXIf") found.exif = content;
    // A compressed one is left: no camera writes such.
    const isXmp = kind === "iTXt" && latin(content, 0, 18) === XMP_OF_PNG && content[18] === 0;
    if (isXmp) found.xmp = latin(content, 18);
  }
  return found;
}

/**
 * @param {Uint8Array} file
 * @returns {Blocks}
 */
function ofWebp(file) {
  const view = viewOf(file);
  /** @type {Blocks} */
  const found = {};
  for (let at = 12; at + 8 <= file.length;) {
    const size = view.getUint32(at + 4, true);
    const content = file.subarray(at + 8, at + 8 + size);
    const kind = latin(file, at, at + 4);
    if (kind === "EXIF") found.exif ??= latin(content, 0, 6) === EXIF_START ? content.subarray(6) : content;
    if (kind === "XMP ") found.xmp ??= latin(content, 0);
    at += 8 + size + (size % 2);
  }
  return found;
}

/**
 * @param {Uint8Array} tiff
 * @returns {number | undefined} the orientation in its first directory
 */
function inTiff(tiff) {
  const view = viewOf(tiff);
  const little = latin(tiff, 0, 2) === "II";
  if (!little && latin(tiff, 0, 2) !== "MM") return undefined;
  const directory = view.getUint32(4, little);
  const entries = view.getUint16(directory, little);
  /** @type {number | undefined} */
  let found;
  for (let entry = 0; entry < entries; entry++) {
    const at = directory + 2 + 12 * entry;
    if (view.getUint16(at, little) !== ORIENTATION) continue;
    const [type, number] = [view.getUint16(at + 2, little), view.getUint32(at + 4, little)];
    const value = type === SHORT ? view.getUint16(at + 8, little) : view.getUint32(at + 8, little);
    found = number === 1 && (type === SHORT || type === LONG) ? value : 1;
  }
  return found;
}

/**
 * @param {Uint8Array} bytes
 * @returns {DataView}
 */
function viewOf(bytes) {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

/**
 * @param {Uint8Array} bytes
 * @param {number} start
 * @param {number} [end]
 * @returns {string} a character for each byte
 */
function latin(bytes, start, end) {
  // Not by TextDecoder, whose latin1 is Windows' code page, where the bytes from 0x80 on are other characters.
  return Array.from(bytes.subarray(start, end), (byte) => String.fromCharCode(byte)).join("");
}
