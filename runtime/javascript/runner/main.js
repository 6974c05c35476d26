// The program that Python starts for the runners onnx-node and onnx-web: it opens one model and runs it until its
// standard input ends. frames.js has the form of the messages; these are the requests, by `do`:
//
//   open   the model as bytes, without its weights, and engine.js' Request; answered by its inputs, outputs and facts
//   feed   the inputs, as safetensors
//   run    computes
//   fetch  answered by the outputs of the last run, as safetensors
//
// A request that fails is answered by `error`, its message.

import { openInChromium } from "./in_chromium.js";
import { messages, send } from "./frames.js";
import { openNative, openWasm } from "./in_node.js";

/** @typedef {import("./engine.js").Request} Request */

/** How a model is opened, by the request's `backend`. */
const BACKENDS = { native: openNative, wasm: openWasm, "wasm-browser": openInChromium, webgpu: openInChromium };

// What a package prints must not come between the messages.
console.log = console.info = console.debug = console.warn = console.error;

/** @type {import("./engine.js").Running} */
let engine;

/** @type {Record<string, (head: any, bytes: Uint8Array) => Promise<{ head?: object, bytes?: Uint8Array } | void>>} */
const REQUESTS = {
  open: async (request, model) => {
    const { engine: opened, ...told } = await BACKENDS[/** @type {Request["backend"]} */ (request.backend)](
      request,
      model,
    );
    engine = opened;
    return { head: { elsewhere: [], ...told, ...(await engine.declared()) } };
  },
  feed: (_, inputs) => engine.feed(inputs),
  run: () => engine.run(),
  fetch: async () => ({ bytes: await engine.fetch() }),
};

for await (const { head, bytes } of messages(process.stdin)) {
  try {
    const answer = (await REQUESTS[head.do](head, bytes)) ?? {};
    await send(process.stdout, answer.head ?? {}, answer.bytes);
  } catch (error) {
    await send(process.stdout, { error: error instanceof Error ? error.message : String(error) });
  }
}
// @ts-ignore - it may have ended before anything was opened
await engine?.close();
process.exit(); // WebAssembly's threads would keep it alive
