// Decoding photos in Node with sharp, which the caller hands in: pixels as they are in the file, neither turned nor
// converted by a colour profile, as Pillow decodes them.

import { ImageError, firstLine } from "./errors.js";
import { readOrientation } from "./orientation.js";
import { MOST_PIXELS } from "./photo.js";
import { oneLine } from "./plain_text.js";

/** @typedef {import("./photo.js").Pixels} Pixels */

/**
 * @param {Uint8Array} bytes of the file
 * @param {any} sharp the package's default export
 * @returns {Promise<Pixels>} with the orientation that the file asks for
 * @throws {ImageError} it is no image that sharp reads, is damaged, or has too many pixels
 */
export async function decodePhoto(bytes, sharp) {
  try {
    const { space, depth } = await sharp(bytes).metadata();
    const wide = depth === "ushort";
    const image = sharp(bytes, { ignoreIcc: true, limitInputPixels: MOST_PIXELS });
    // Otherwise 16 bits and inks become 8 bits of sRGB, by another formula than Pillow's.
    if (wide || space === "cmyk") image.pipelineColourspace(space).toColourspace(space);
    const { data, info } = await image.raw({ depth: wide ? "ushort" : "uchar" }).toBuffer({ resolveWithObject: true });
    const { width, height, channels } = info;
    const values = wide ? new Uint16Array(new Uint8Array(data).buffer) : new Uint8Array(data);
    return { width, height, channels, data: values, space, orientation: readOrientation(bytes) };
  } catch (error) {
    throw new ImageError(`The photo can't be decoded: ${oneLine(firstLine(error))}.\nGive a JPEG, PNG, WebP or TIFF.`);
  }
}
