// What the page of in_chromium.js may fetch, without a server or a port: Playwright answers each of its requests from
// the files of this package, those of onnxruntime-web, and the model; the browser finds no other host.

import { open, readFile } from "node:fs/promises";
import { dirname, extname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { PIECE } from "./engine.js";
import { requireFrom } from "./in_node.js";

/** A browser trusts it as it does https: WebGPU and memory that threads share need that. */
export const ORIGIN = "http://localhost/";

const PACKAGE = join(dirname(fileURLToPath(import.meta.url)), "..");
const TYPES = /** @type {Record<string, string>} */ ({
  ".js": "text/javascript",
  ".mjs": "text/javascript",
  ".wasm": "application/wasm",
});
/** Without these headers a page has no memory that threads share. */
const ISOLATED = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };
const PAGE = '<!doctype html><title>layerprobe</title><script type="module" src="/package/runner/page.js"></script>';

/**
 * Return what answers the page's requests.
 * @param {import("./engine.js").Request} request
 * @param {{ bytes: Uint8Array }} offer what Node holds for the page: the model, then the inputs
 */
export function answering(request, offer) {
  const web = dirname(requireFrom(request.modules).resolve("onnxruntime-web"));
  /** By the first part of the path, what the rest of it and the first byte lead to. */
  const places = /** @type {Record<string, (name: string, from: number) => Promise<Uint8Array>>} */ ({
    "": async () => Buffer.from(PAGE),
    package: (name) => readFile(join(PACKAGE, name)),
    ort: (name) => readFile(join(web, name)),
    offer: async (_, from) => offer.bytes.subarray(from, from + PIECE),
    weights: (name, from) => readPart(join(request.folder, request.files[Number(name)]), from),
  });
  return async (/** @type {import("playwright-core").Route} */ route) => {
    const { pathname, searchParams } = new URL(route.request().url()); // which has resolved each ..
    const [, place, ...rest] = pathname.split("/");
    try {
      const body = Buffer.from(await places[place](rest.join("/"), Number(searchParams.get("from"))));
      await route.fulfill({ contentType: TYPES[extname(pathname)] ?? "text/html", headers: ISOLATED, body });
    } catch {
      await route.fulfill({ status: 404, headers: ISOLATED });
    }
  };
}

/**
 * Return a piece of a file.
 * @param {string} path
 * @param {number} from
 */
async function readPart(path, from) {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(PIECE), 0, PIECE, from);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}
