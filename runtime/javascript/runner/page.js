// The page's part of in_chromium.js: opens and runs a model in this browser's ONNX Runtime Web.

import { Engine, PIECE } from "./engine.js";

const WEB = { "wasm-browser": "/ort/ort.wasm.min.mjs", webgpu: "/ort/ort.webgpu.min.mjs" };
const VERBOSE = 0;

/** @type {Engine} */
let engine;
/** @type {Uint8Array<ArrayBuffer>} */
let outputs = new Uint8Array(0);

const FUNCTIONS = {
  hasAdapter: async () => Boolean(await adapter()),

  /**
   * Open the model that is offered; return the facts.
   * @param {Pick<import("./engine.js").Request, "files" | "level" | "threads"> & { backend: keyof typeof WEB }} given
   */
  async open({ backend, files, level, threads }) {
    const ort = await import(WEB[backend]);
    ort.env.wasm.wasmPaths = "/ort/";
    if (threads) ort.env.wasm.numThreads = threads;
    const externalData = [];
    for (const [at, path] of files.entries()) externalData.push({ path, data: await fetchAll(`/weights/${at}`) });
    const onGpu = backend === "webgpu";
    engine = await Engine.open(ort, await fetchAll("/offer"), {
      executionProviders: [onGpu ? "webgpu" : "wasm"],
      graphOptimizationLevel: level,
      externalData,
      ...(onGpu && { logSeverityLevel: VERBOSE, logVerbosityLevel: 0 }), // it logs where each node runs, and only so
    });
    const { vendor = "", architecture = "", description = "" } = (onGpu && (await adapter())?.info) || {};
    const named = [vendor, architecture, description].filter(Boolean).join(" ");
    return { version: ort.env.versions.web, threads: ort.env.wasm.numThreads, ...(onGpu && { adapter: named }) };
  },

  declared: () => engine.declared(),

  feed: async () => engine.feed(await fetchAll("/offer")),

  run: () => engine.run(),

  /** Make the outputs ready to be taken in pieces; return their size in bytes. */
  async fetch() {
    outputs = /** @type {Uint8Array<ArrayBuffer>} */ (await engine.fetch());
    return outputs.length;
  },

  /**
   * Return a piece of the outputs as base64.
   * @param {number} from
   */
  async piece(from) {
    const reader = new FileReader();
    const read = new Promise((resolve) => reader.addEventListener("load", resolve));
    reader.readAsDataURL(new Blob([outputs.subarray(from, from + PIECE)]));
    await read;
    return String(reader.result).split(",")[1];
  },
};

Object.assign(window, { model: FUNCTIONS });

async function adapter() {
  return /** @type {any} */ (navigator).gpu?.requestAdapter();
}

/**
 * Return what is at an address, fetched piece by piece.
 * @param {string} address
 */
async function fetchAll(address) {
  const pieces = [];
  let last;
  do {
    /** @type {Response} */
    const response = await fetch(`${address}?from=${pieces.length * PIECE}`);
    if (!response.ok) throw new Error(`${address} can't be read`);
    last = new Uint8Array(await response.arrayBuffer());
    pieces.push(last);
  } while (last.length === PIECE);
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}
