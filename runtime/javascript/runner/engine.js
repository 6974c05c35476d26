// One model in ONNX Runtime, safetensors in and out: the same code in Node and in a page.

import { lostOutput } from "../src/result_names.js";
import { readSafetensors, writeSafetensors } from "../src/safetensors.js";

/** @typedef {{ name: string, dtype: string, shape: (number | string | null)[] }} Declared an input or output of
 * the model; a size that is open is a text or null */
/**
 * @typedef {object} Request what is opened, and how
 * @property {"native" | "wasm" | "wasm-browser" | "webgpu"} backend
 * @property {string} modules the folder of the npm packages
 * @property {string} folder of the files with the model's weights
 * @property {string[]} files their names
 * @property {"disabled" | "basic" | "extended" | "layout" | "all"} level of graph optimization
 * @property {number | null} threads null for the runtime's choice
 * @property {boolean} spins whether threads wait in a loop
 * @property {string} chromium the browser's program
 */
/**
 * @typedef {object} Running a model that is open, here or in a page
 * @property {() => Promise<{ inputs: Declared[], outputs: Declared[] }>} declared
 * @property {(inputs: Uint8Array) => Promise<void>} feed
 * @property {() => Promise<void>} run
 * @property {() => Promise<Uint8Array>} fetch
 * @property {() => Promise<void>} close
 */

/** How many bytes of a file or of tensors pass between a browser and Node at once: as base64, in a message. */
export const PIECE = 2 ** 25;

const LARGEST_SIZE = 2 ** 31 - 1;

/** @implements {Running} */
export class Engine {
  /**
   * @param {any} ort the module onnxruntime-node or onnxruntime-web
   * @param {Uint8Array} model
   * @param {object} options of the session
   */
  static async open(ort, model, options) {
    const session = await ort.InferenceSession.create(model, options);
    const lost = lostOutput(session.outputNames);
    if (lost !== undefined) throw new Error(`ONNX Runtime can't return an output named '${lost}' in JavaScript.`);
    return new Engine(ort, session);
  }

  /**
   * @param {any} ort
   * @param {any} session
   */
  constructor(ort, session) {
    this.ort = ort;
    this.session = session;
    this.feeds = {};
    /** @type {Record<string, any>} */
    this.results = {};
  }

  /** Return the model's inputs and outputs, in the file's order. */
  async declared() {
    const { inputMetadata, outputMetadata } = this.session;
    return { inputs: inputMetadata.map(declared), outputs: outputMetadata.map(declared) };
  }

  /**
   * Take the inputs of the next runs.
   * @param {Uint8Array} bytes safetensors
   */
  async feed(bytes) {
    const { tensors } = readSafetensors(bytes);
    this.feeds = Object.fromEntries(
      [...tensors].map(([name, { dtype, shape, data }]) => [
        name,
        new this.ort.Tensor(dtype, taken(dtype, data), shape),
      ]),
    );
  }

  /** Compute the outputs from the inputs. */
  async run() {
    this.results = {}; // their memory, before the next take theirs
    this.results = await this.session.run(this.feeds, { logSeverityLevel: 3 });
  }

  /** Return the outputs of the last run, as safetensors. */
  async fetch() {
    /** @type {import("../src/tensor.js").Tensors} */
    const tensors = new Map();
    for (const name of this.session.outputNames) {
      const { type, dims, data } = this.results[name];
      tensors.set(name, { dtype: type, shape: [...dims], data: given(type, data) });
    }
    return writeSafetensors(tensors);
  }

  async close() {
    await this.session.release();
  }
}

/** @param {{ name: string, type: string, shape: (number | string)[] }} metadata */
function declared({ name, type, shape }) {
  // ONNX Runtime Web gives -1, an open size without a name, as an unsigned number.
  return { name, dtype: type, shape: shape.map((size) => (Number(size) > LARGEST_SIZE ? null : size)) };
}

/** Of float16, what ONNX Runtime takes and gives where there is such an array; ours are its bits. */
const Float16 = /** @type {any} */ (globalThis).Float16Array;

/**
 * @param {string} dtype
 * @param {any} data
 */
function taken(dtype, data) {
  return dtype === "float16" && Float16 ? new Float16(data.buffer, data.byteOffset, data.length) : data;
}

/**
 * @param {string} dtype
 * @param {any} data
 */
function given(dtype, data) {
  return dtype === "float16" ? new Uint16Array(data.buffer, data.byteOffset, data.length) : data;
}
