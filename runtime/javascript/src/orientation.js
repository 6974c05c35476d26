// Which way up a photo is to be shown, as its EXIF block says: read from the file's own bytes, as a decoder may turn the
// picture, or not, and say neither. What is damaged counts as upright, as photo viewers have it.

const ORIENTATION = 0x0112;
const [SHORT, LONG] = [3, 4];
const UPRIGHT = 1;
const PNG_START = "\x89PNG\r\n\x1a\n";
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
 * Return a copy of a file whose EXIF block says that it is upright, so that any decoder gives its pixels as stored: browsers
 * turn what they like, some although they are told not to.
 *
 * @param {Uint8Array} file
 * @returns {Uint8Array<ArrayBuffer>}
 */
export function saidUpright(file) {
  const copy = Uint8Array.from(file);
  try {
    const { exif } = blocks(copy);
    if (!exif) return copy;
    const view = viewOf(exif);
    for (const { at, type } of orientationsIn(exif)) {
      if (type === LONG) view.setUint32(at + 8, UPRIGHT, isLittle(exif));
      else view.setUint16(at + 8, UPRIGHT, isLittle(exif));
    }
    if (isPng(copy)) signAgain(copy, exif);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return copy;
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
  if (isPng(file)) return ofPng(file);
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
 * @returns {number | undefined} the orientation in its first directory; of several, the last
 */
function inTiff(tiff) {
  const view = viewOf(tiff),
    little = isLittle(tiff);
  /** @type {number | undefined} */
  let found;
  for (const { at, type } of orientationsIn(tiff)) {
    const value = type === SHORT ? view.getUint16(at + 8, little) : view.getUint32(at + 8, little);
    found = view.getUint32(at + 4, little) === 1 && (type === SHORT || type === LONG) ? value : 1;
  }
  return found;
}

/**
 * @param {Uint8Array} tiff
 * @returns {Generator<{at: number, type: number}>} where the first directory says how it is turned
 */
function* orientationsIn(tiff) {
  const view = viewOf(tiff),
    little = isLittle(tiff);
  if (!little && latin(tiff, 0, 2) !== "MM") return;
  const directory = view.getUint32(4, little);
  const entries = view.getUint16(directory, little);
  for (let entry = 0; entry < entries; entry++) {
    const at = directory + 2 + 12 * entry;
    if (view.getUint16(at, little) === ORIENTATION) yield { at, type: view.getUint16(at + 2, little) };
  }
}

/** @param {Uint8Array} tiff */
const isLittle = (tiff) => latin(tiff, 0, 2) === "II";

/** @param {Uint8Array} file */
const isPng = (file) => latin(file, 0, 8) === PNG_START;

/**
 * Write the checksum of a PNG's chunk anew: CRC-32 over its kind and content.
 *
 * @param {Uint8Array} png
 * @param {Uint8Array} content of the chunk, in it
 */
function signAgain(png, content) {
  const start = content.byteOffset - png.byteOffset - 4,
    end = start + 4 + content.length;
  let sum = 0xffffffff;
  for (let at = start; at < end; at++) {
    sum ^= png[at];
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  viewOf(png).setUint32(end, ~sum >>> 0);
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
