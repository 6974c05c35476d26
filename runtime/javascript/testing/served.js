// A server of files for tests: by the first part of the path, each from its own folder; of a folder, its index.html.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";

const INDEX = "index.html";
const TYPES = new Map([
  [".css", "text/css"],
  [".html", "text/html"],
  [".js", "text/javascript"],
  [".mjs", "text/javascript"],
  [".wasm", "application/wasm"],
]);

/**
 * @param {Readonly<Record<string, string>>} folders
 * @returns {Promise<{address: string, close: () => void}>}
 */
export async function served(folders) {
  const server = createServer(async (request, response) => {
    const [, first, ...rest] = new URL(String(request.url), "http://localhost").pathname.split("/");
    const file = Object.hasOwn(folders, first) ? path.join(folders[first], ...rest, ...(rest.at(-1) ? [] : [INDEX])) : "";
    const content = await readFile(file).catch(() => null);
    response.writeHead(content ? 200 : 404, {
      "content-type": TYPES.get(path.extname(file)) ?? "application/octet-stream",
    });
    response.end(content);
  });
  await new Promise((ready) => server.listen(0, "127.0.0.1", () => ready(null)));
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  return { address: `http://127.0.0.1:${port}`, close: () => server.close().closeAllConnections() };
}
