// Decoding photos in a page or a worker: a file, or a frame of the camera, to the pixels that are stored in it, neither
// turned nor converted by a colour profile, and alpha as it is. Of a JPEG or a PNG of 8 bits Pillow reads the same. The
// browser decodes 16 bits to 8 itself.

import { ImageError } from "./errors.js";
import { readOrientation, saidUpright } from "./orientation.js";
import { refuseByHeader, whyNotDecoded } from "./photo_header.js";
import { oneLine } from "./plain_text.js";

/** @typedef {import("./photo.js").Pixels} Pixels */

const UNCHANGED = /** @type {ImageBitmapOptions} */ ({
  colorSpaceConversion: "none",
  premultiplyAlpha: "none",
  imageOrientation: "none",
});
const LONGEST_NAME = 80;

/**
 * @param {Blob | ImageBitmap} source a file, or a frame, which is closed
 * @returns {Promise<Pixels>} with the orientation that the file asks for
 * @throws {ImageError} the browser can't decode it, or it has too many pixels
 */
export async function decodePhoto(source) {
  if (source instanceof ImageBitmap) return pixelsOf(source);
  const name = source instanceof File && source.name ? oneLine(source.name, LONGEST_NAME) : "That file";
  const file = new Uint8Array(await source.arrayBuffer());
  refuseByHeader(file, name);
  /** @type {ImageBitmap} */
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob([saidUpright(file)], { type: source.type }), UNCHANGED);
  } catch {
    throw new ImageError(whyNotDecoded(file, name));
  }
  return { ...pixelsOf(bitmap), orientation: readOrientation(file) };
}

/**
 * @param {ImageBitmap} bitmap closed
 * @returns {Pixels}
 */
function pixelsOf(bitmap) {
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true, colorSpace: "srgb" });
  if (!context) throw new ImageError(`A photo of ${width} x ${height} pixels is too large for this browser.`);
  context.drawImage(bitmap, 0, 0);
  let { data } = context.getImageData(0, 0, width, height);
  if (data.some((value, index) => index % 4 === 3 && value < 255)) data = unmultiplied(bitmap) ?? data;
  bitmap.close();
  return { width, height, data, channels: 4 };
}

/**
 * A canvas keeps colours multiplied by alpha, which loses their last bits; a texture keeps them as they are.
 * @param {ImageBitmap} bitmap
 * @returns {Uint8ClampedArray<ArrayBuffer> | null} null where WebGL is missing, or the picture too large for it
 */
function unmultiplied(bitmap) {
  const { width, height } = bitmap;
  const gl = new OffscreenCanvas(1, 1).getContext("webgl2");
  if (!gl || Math.max(width, height) > gl.getParameter(gl.MAX_TEXTURE_SIZE)) return null;
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.pixelStorei(gl.UNPACK_PREMULTIPLY_ALPHA_WEBGL, false);
  gl.pixelStorei(gl.UNPACK_COLORSPACE_CONVERSION_WEBGL, gl.NONE);
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, gl.RGBA, gl.UNSIGNED_BYTE, bitmap);
  gl.bindFramebuffer(gl.FRAMEBUFFER, gl.createFramebuffer());
  gl.framebufferTexture2D(
    gl.FRAMEBUFFER,
    gl.COLOR_ATTACHMENT0,
    gl.TEXTURE_2D,
    gl.getParameter(gl.TEXTURE_BINDING_2D),
    0,
  );
  const data = new Uint8ClampedArray(width * height * 4);
  gl.readPixels(0, 0, width, height, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(data.buffer));
  const failed = gl.getError() !== gl.NO_ERROR;
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return failed ? null : data;
}
