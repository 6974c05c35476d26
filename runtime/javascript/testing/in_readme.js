// The code blocks of README.md, as its readers run them.

import { readFile } from "node:fs/promises";

/**
 * @param {string} language
 * @returns {Promise<string[]>} the blocks in the order of reading
 */
export async function codeBlocks(language) {
  const text = await readFile(new URL("../README.md", import.meta.url), "utf8");
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter((found) => found[1] === language)
    .map((found) => found[2]);
}
