// A folder on a disk as a place of an artifact's files, in Node. Only regular files are opened: a pipe would hang, and a
// device never ends.

import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { freemem } from "node:os";
import path from "node:path";

import { ArtifactError } from "./errors.js";
import { tooLarge } from "./places.js";

/** @typedef {import("./places.js").Place} Place */

/** Node reads no more at once. */
const PIECE_BYTES = 2 ** 30;

/**
 * @param {string} folder its path
 * @returns {Place}
 */
export function folder(folder) {
  return { name: folder, read: (file, most) => readRegular(path.join(folder, file), most) };
}

/**
 * @param {string} file
 * @param {number} most bytes
 * @returns {Promise<Uint8Array | undefined>} undefined if there is no such file
 */
async function readRegular(file, most) {
  let handle;
  try {
    // Not blocking: opening a pipe that nobody writes to would hang before its kind is known.
    handle = await open(file, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const facts = await handle.stat();
    if (!facts.isFile()) throw new ArtifactError(`${file} can't be read: it is not a regular file.`);
    if (facts.size > most) throw tooLarge(file, most);
    const free = process.availableMemory?.() ?? freemem();
    if (facts.size > free) {
      const [size, left] = [facts.size, free].map((bytes) => Math.round(bytes / 1e6).toLocaleString("en-US"));
      throw new ArtifactError(
        `${file} has ${size} MB; ${left} MB of memory are free.\nUse a machine with more memory.`,
      );
    }
    const content = new Uint8Array(facts.size);
    for (let at = 0; at < content.length;) {
      const { bytesRead } = await handle.read(content, at, Math.min(PIECE_BYTES, content.length - at), at);
      if (!bytesRead) throw new ArtifactError(`${file} became shorter while it was read.\nTry again.`);
      at += bytesRead;
    }
    return content;
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    if (error instanceof ArtifactError || code === undefined) throw error;
    throw new ArtifactError(`${file} can't be read: ${code}.`);
  } finally {
    await handle?.close();
  }
}
