// onnxruntime-web in a page of a headless Chromium, by WebAssembly or WebGPU, driven by Playwright over a pipe.
// page.js is the page's part, page_files.js what it may fetch.

import { PIECE } from "./engine.js";
import { requireFrom } from "./in_node.js";
import { ORIGIN, answering } from "./page_files.js";
import { nodesElsewhere } from "./placement.js";

/** @typedef {import("./engine.js").Request} Request */
/** @typedef {import("./engine.js").Running} Running */

/** By which a GPU is found, and then Chromium's own in software, for machines without one. */
const GPU_FLAGS = [
  ["--enable-unsafe-webgpu", "--enable-features=Vulkan"],
  ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"],
];

/**
 * Open a model in the browser.
 * @param {Request} request
 * @param {Uint8Array} model
 */
export async function openInChromium(request, model) {
  for (const flags of request.backend === "webgpu" ? GPU_FLAGS : [[]]) {
    const tab = await Tab.start(request, flags);
    try {
      if (request.backend !== "webgpu" || (await tab.call("hasAdapter"))) return await tab.open(model);
    } catch (error) {
      await tab.close();
      throw error;
    }
    await tab.close();
  }
  throw new Error("Chromium has no WebGPU adapter here, not even its own in software");
}

/** @implements {Running} */
class Tab {
  /**
   * Start the browser with a page that has no model yet.
   * @param {Request} request
   * @param {string[]} flags
   */
  static async start(request, flags) {
    const browser = await launched(request, flags);
    const tab = new Tab(request, browser, await browser.newPage());
    await tab.page.route("**/*", answering(request, tab.offer));
    await tab.page.goto(ORIGIN);
    return tab;
  }

  /**
   * @param {Request} request
   * @param {import("playwright-core").Browser} browser
   * @param {import("playwright-core").Page} page
   */
  constructor(request, browser, page) {
    this.request = request;
    this.browser = browser;
    this.page = page;
    this.offer = { bytes: /** @type {Uint8Array} */ (new Uint8Array(0)) };
  }

  /**
   * Call one of the page's functions.
   * @param {string} name of page.js' FUNCTIONS
   * @param {unknown} [argument]
   * @returns {Promise<any>}
   */
  async call(name, argument) {
    const called = { name, argument };
    try {
      return await this.page.evaluate(
        ({ name, argument }) => /** @type {any} */ (window).model[name](argument),
        called,
      );
    } catch (error) {
      throw new Error(/** @type {Error} */ (error).message.replace(/^page\.evaluate: (Error: )?/, "in Chromium, "));
    }
  }

  /**
   * @param {Uint8Array} model
   */
  async open(model) {
    /** @type {string[]} */
    const log = [];
    const listen = (/** @type {import("playwright-core").ConsoleMessage} */ message) => void log.push(message.text());
    this.page.on("console", listen);
    this.offer.bytes = model;
    const { backend, files, level, threads } = this.request;
    const facts = await this.call("open", { backend, files, level, threads });
    this.page.off("console", listen);
    const elsewhere = backend === "webgpu" ? nodesElsewhere(log, "WebGpuExecutionProvider") : [];
    return { engine: this, facts: { ...facts, browser: `Chromium ${this.browser.version()}` }, elsewhere };
  }

  declared() {
    return this.call("declared");
  }

  /**
   * @param {Uint8Array} inputs
   */
  async feed(inputs) {
    this.offer.bytes = inputs;
    await this.call("feed");
  }

  async run() {
    await this.call("run");
  }

  async fetch() {
    const outputs = new Uint8Array(await this.call("fetch"));
    for (let from = 0; from < outputs.length; from += PIECE) {
      outputs.set(Buffer.from(await this.call("piece", from), "base64"), from);
    }
    return outputs;
  }

  async close() {
    await this.browser.close();
  }
}

/**
 * Start the browser, which finds no host.
 * @param {Request} request
 * @param {string[]} flags
 * @returns {Promise<import("playwright-core").Browser>}
 */
async function launched({ modules, chromium: program }, flags) {
  const { chromium } = requireFrom(modules)("playwright-core");
  try {
    return await chromium.launch({
      executablePath: program,
      chromiumSandbox: process.getuid?.() !== 0, // root can't have it
      args: ["--disable-background-networking", "--host-resolver-rules=MAP * ~NOTFOUND", ...flags],
    });
  } catch (error) {
    // Playwright's message is the log of the start; what the browser itself said is in it.
    const { message } = /** @type {Error} */ (error);
    const said = [...message.matchAll(/\[err\] (.*?)(?:\x1b|$)/gm)].map(([, line]) => line);
    const why = said.find((line) => /ERROR|FATAL/.test(line)) ?? said.at(-1) ?? "it ended at once";
    throw new Error(`${program} doesn't start: ${why}`);
  }
}
