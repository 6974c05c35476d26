// Where an artifact's files come from: an address, or files that were picked or dropped. A folder of Node's is in
// node_folder.js, so that a page doesn't load it.

import { ArtifactError, firstLine } from "./errors.js";

/**
 * Where files are read from by their names. A name never has a path in it: the manifest's reader refuses such.
 *
 * @typedef {object} Place
 * @property {string} name for messages
 * @property {(file: string, most: number) => Promise<Uint8Array | undefined>} read the content of a file, undefined if
 *   there is none; refuses more than `most` bytes
 */

/**
 * @param {string | URL} url of the folder, from that of the page on if it is relative
 * @param {{fetch?: typeof fetch}} [options] what fetches, if it isn't the browser's or Node's own
 * @returns {Place}
 */
export function atUrl(url, options = {}) {
  const base = new URL(String(url).replace(/\/*$/, "/"), globalThis.location?.href);
  return {
    name: base.href.replace(/\/$/, ""),
    async read(file, most) {
      const address = new URL(encodeURIComponent(file), base);
      /** @type {Response} */
      let response;
      try {
        response = await (options.fetch ?? fetch)(address);
      } catch (error) {
        throw new ArtifactError(
          `${address} can't be fetched: ${firstLine(error)}.\nCheck the address and the connection.`,
        );
      }
      if (response.status === 404) return undefined;
      if (!response.ok) throw new ArtifactError(`${address} can't be fetched: the server answered ${response.status}.`);
      return streamed(response, String(address), most);
    },
  };
}

/**
 * @param {Iterable<File> | ReadonlyMap<string, Blob | Uint8Array>} files of a folder that was picked or dropped, or by name
 * @param {string} [name] for messages
 * @returns {Place}
 */
export function ofFiles(files, name = "the files") {
  /** @type {ReadonlyMap<string, Blob | Uint8Array>} */
  const byName = files instanceof Map ? files : new Map([...named(/** @type {Iterable<File>} */ (files))]);
  return {
    name,
    async read(file, most) {
      const found = byName.get(file);
      if (found === undefined) return undefined;
      const size = found instanceof Uint8Array ? found.length : found.size;
      if (size > most) throw tooLarge(`${name}: ${file}`, most);
      return found instanceof Uint8Array ? found : new Uint8Array(await found.arrayBuffer());
    },
  };
}

/**
 * @param {string} file
 * @param {number} most bytes
 * @returns {ArtifactError}
 */
export function tooLarge(file, most) {
  return new ArtifactError(`${file} has more than ${most.toLocaleString("en-US")} bytes, too many for what it is.`);
}

/**
 * Of a folder that was picked, a path is `NAME/manifest.json`; what is in folders within it is none of the artifact's.
 *
 * @param {Iterable<File>} files
 * @returns {Generator<[string, File]>}
 */
function* named(files) {
  for (const file of files) {
    const parts = (file.webkitRelativePath || file.name).split("/");
    if (parts.length <= 2) yield [parts[parts.length - 1], file];
  }
}

/**
 * @param {Response} response
 * @param {string} address
 * @param {number} most
 * @returns {Promise<Uint8Array>}
 */
async function streamed(response, address, most) {
  /** @type {Uint8Array[]} */
  const chunks = [];
  let size = 0;
  const reader = response.body?.getReader();
  try {
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      chunks.push(part.value);
      size += part.value.length;
      if (size > most) {
        await reader?.cancel();
        throw tooLarge(address, most);
      }
    }
  } catch (error) {
    if (error instanceof ArtifactError) throw error;
    throw new ArtifactError(`${address} can't be fetched: ${firstLine(error)}.\nCheck the connection, and try again.`);
  }
  const content = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    content.set(chunk, at);
    at += chunk.length;
  }
  return content;
}
