// The worker: calls by name, one after the other, to the model that is open in it.

import { ModelRun } from "./model_run.js";
import { judgedHere } from "./self_check.js";
import { SiteModel } from "./site_model.js";
import { tensorFile } from "./tensor_saving.js";

const scope = /** @type {any} */ (self);
/** @type {ModelRun | undefined} */
let run;

/** @returns {ModelRun} */
function opened() {
  if (!run) throw new Error("the model isn't open yet");
  return run;
}

/** By name: each returns what is posted, alone or with what is transferred. @type {Record<string, (argument: any) => any>} */
const METHODS = {
  async open({ site, backend }) {
    const model = await SiteModel.open(new URL(site));
    await model.use(backend);
    run = new ModelRun(model);
    return model.described();
  },
  warm: () => opened().warm(),
  use: ({ backend }) => opened().use(backend),
  photo: ({ source, style }) => opened().photo(source, style),
  pages: async ({ style }) => ({ pages: await opened().pages(style) }),
  chooseAnew: () => opened().camera.forget(),
  channels: ({ name, style }) => opened().everyChannel(name, style),
  file: ({ names }) => tensorFile(opened(), names),
  check: ({ backend }) => judgedHere(opened().model, backend),
};

let before = Promise.resolve();
scope.addEventListener("message", (/** @type {MessageEvent} */ { data: { id, method, argument } }) => {
  before = before.then(async () => {
    try {
      const result = await METHODS[method](argument);
      scope.postMessage({ id, result }, [...buffersOf(result)]);
    } catch (error) {
      scope.postMessage({ id, error: error instanceof Error ? error.message : String(error) });
    }
  });
});

/**
 * What is handed over rather than copied.
 * @param {any} value
 * @returns {Set<Transferable>}
 */
function buffersOf(value) {
  /** @type {Set<Transferable>} */
  const found = new Set();
  const visit = (/** @type {any} */ each) => {
    if (ArrayBuffer.isView(each)) found.add(/** @type {ArrayBuffer} */ (each.buffer));
    else if (typeof ImageBitmap !== "undefined" && each instanceof ImageBitmap) found.add(each);
    else if (Array.isArray(each)) each.forEach(visit);
    else if (each && Object.getPrototypeOf(each) === Object.prototype) Object.values(each).forEach(visit);
  };
  visit(value);
  return found;
}
