// The model of a page: its artifact, its full and its averaged probe, each opened on the backend that the visitor chose once
// something of it is computed.

import { OnnxRunner, imageInput, openArtifact, openRunner } from "../src/index.js";

/** @typedef {import("../src/index.js").Artifact} Artifact */
/** @typedef {import("../src/index.js").Tensors} Tensors */
/** Which probe: every tensor, or their means. @typedef {"full" | "means"} Kind */

const MOST_THREADS = 4;
const AGAIN = "Check the connection; or copy the page's whole folder to the server again.";
/** Errors only: what ONNX Runtime would say else fills a visitor's console. */
const QUIET = "error";

export class SiteModel {
  /**
   * @param {URL} site
   * @param {any} facts of site.json
   * @param {Artifact} artifact
   * @param {Artifact | null} means
   */
  constructor(site, facts, artifact, means) {
    this.site = site;
    this.facts = facts;
    this.artifact = artifact;
    this.means = means;
    /** By output of the averaged probe, how far it may be off by rounding. @type {Map<string, number>} */
    this.noise = new Map(Object.entries(facts.noise));
    this.backend = "wasm";
    /** @type {Map<string, Promise<OnnxRunner>>} by what it computes: full, means */
    this.runners = new Map();
  }

  /**
   * @param {URL} site the folder
   * @returns {Promise<SiteModel>}
   */
  static async open(site) {
    const facts = await factsOf(site);
    const artifact = await openArtifact(new URL("artifact/", site));
    const means = await artifact.averaged();
    return new SiteModel(site, facts, artifact, means);
  }

  /** What the page has to know of it. */
  described() {
    const { manifest } = this.artifact;
    return {
      title: this.facts.title,
      outputs: manifest.outputs,
      crop: imageInput(manifest).preprocessing.crop,
      hasTensors: !this.artifact.isAveraged,
      hasMeans: this.means !== null,
      hasTruths: this.facts.truths && !this.artifact.isAveraged,
      testPhoto: this.artifact.lists("test_photo.png") ? new URL("artifact/test_photo.png", this.site).href : null,
      runtime: this.facts.runtime,
      backends: this.facts.backends,
      madeBy: this.facts.layerprobe,
    };
  }

  /**
   * Compute with another backend from now on; with the one before if that can't be.
   * @param {string} backend
   */
  async use(backend) {
    const before = { backend: this.backend, runners: this.runners };
    const isOther = backend !== this.backend;
    if (isOther) Object.assign(this, { backend, runners: new Map() });
    try {
      await this.runner(this.means ? "means" : "full");
    } catch (error) {
      Object.assign(this, before);
      throw error;
    }
    if (isOther) await released(before.runners);
  }

  /**
   * ONNX Runtime for a backend, single-threaded unless the page is isolated, which a static server rarely sees to.
   * @param {string} backend
   */
  async runtime(backend) {
    const file = `runtime/ort.${backend}.min.mjs`;
    const ort = await import(new URL(file, this.site).href).catch(() => {
      throw new Error(`${file} can't be loaded.\n${AGAIN}`);
    });
    ort.env.logLevel = QUIET;
    ort.env.wasm.numThreads = globalThis.crossOriginIsolated
      ? Math.min(navigator.hardwareConcurrency, MOST_THREADS)
      : 1;
    ort.env.wasm.wasmPaths = new URL("runtime/", this.site).href;
    return ort;
  }

  /**
   * @param {Kind} kind
   * @returns {Promise<OnnxRunner>}
   */
  runner(kind) {
    let found = this.runners.get(kind);
    if (!found) {
      const probe = kind === "means" && this.means ? this.means : this.artifact;
      const session = { executionProviders: [this.backend] };
      found = this.runtime(this.backend)
        .then((ort) => openRunner(probe, ort, { session }))
        .catch((error) => {
          throw withoutBackend(error, this.facts.runtime);
        });
      this.runners.set(kind, found);
      found.catch(() => this.runners.delete(kind));
    }
    return found;
  }

  /**
   * Some outputs.
   * @param {Kind} kind
   * @param {Tensors} input
   * @param {string[]} names
   * @returns {Promise<Tensors>}
   */
  async run(kind, input, names) {
    const runner = await this.runner(kind);
    const wanted = new Set(names);
    const some = runner.outputs.filter((name) => wanted.has(name));
    return new OnnxRunner(runner.ort, runner.session, runner.manifest, some).run(input);
  }
}

/**
 * What site.json says of the page.
 * @param {URL} site
 * @returns {Promise<any>}
 */
async function factsOf(site) {
  const response = await fetch(new URL("site.json", site)).catch(() => null);
  if (!response?.ok) {
    const why = response ? `: the server answered ${response.status}` : "";
    throw new Error(`site.json can't be loaded${why}.\n${AGAIN}`);
  }
  return response.json().catch(() => {
    throw new Error(`site.json is damaged.\n${AGAIN}`);
  });
}

/** @param {Map<string, Promise<OnnxRunner>>} runners */
async function released(runners) {
  for (const each of runners.values()) await each.then((runner) => runner.release()).catch(() => undefined);
}

/**
 * ONNX Runtime says of a file of its own that it can't load, and of a device that isn't there, that no backend is found.
 * @param {Error} error
 * @param {string} runtime
 */
function withoutBackend(error, runtime) {
  const [, why] = /no available backend found\. ERR: (.*)$/s.exec(error.message) ?? [];
  return why ? new Error(`${runtime} can't start: ${why.replace(/ Build with.*$/s, "")}\n${AGAIN}`) : error;
}
