// The page: what the visitor does becomes calls into the worker, and what comes back is shown. It starts on WebAssembly
// and offers WebGPU where the browser has it.
//
// photo_sources.js: a file, drop, paste, camera or test photo -> a photo
// worker_calls.js, worker.js: asks the worker, and answers there
// site_model.js: the artifact and its probes, opened on a backend or on another; none stands in for one that fails
// model_run.js: decodes the photo; which probe runs for which output; how large the photo is shown
// choice.js: there, which maps are shown: overview, depth, search, look-alikes
// top_class.js: there, what a trained classifier says of the photo
// painting.js, tiles.js, picture.js: a map's pixels; the tiles; the picture that is saved
// saving.js: the picture and the tensors become files
// tensor_saving.js: there, every tensor of the photo as a file
// camera_tiles.js: there, which maps the camera's pictures are shown by
// large_view.js: one output large: its channels, values under the pointer
// verdict_view.js, self_check.js: runs the recorded input here, judges it, and says how it went
// report_words.js: the words and digits of a report
// offline.js, service_worker.js: the page is kept in the browser, and opens without network
// elements.js: the elements of index.html, downloads, options

import { colourMapNames } from "../src/maps/colour_maps.js";
import { AUTO, HUED_REDUCTION, OWN_COLOURS, REDUCTIONS, reductionOf } from "../src/maps/reductions.js";
import { notesOf, scalesOfPages } from "../src/maps/map_page.js";
import { OVERVIEW, depthOptions } from "./choice.js";
import { byId, make, setOptions } from "./elements.js";
import { LargeView } from "./large_view.js";
import { keptOffline } from "./offline.js";
import { listenForPhotos } from "./photo_sources.js";
import { namesOf, savePictures, saveTensors } from "./saving.js";
import { Tiles } from "./tiles.js";
import { listenForVerdict } from "./verdict_view.js";
import { startWorker } from "./worker_calls.js";

const SITE = new URL("../", import.meta.url);
const BACKENDS = { wasm: "CPU (WebAssembly)", webgpu: "GPU (WebGPU)" };
const AUTO_WORDS = "the mean; where that shows nothing, the first principal component";
const USUAL_COLOURS = ["", "viridis", "magma", "inferno", "cividis", "turbo", "gray", "RdBu_r", "coolwarm"];

const call = startWorker(new URL("worker.js", import.meta.url), () => (opening = null));
/** The model in the worker, which is opened again for the next photo if it couldn't be. @type {Promise<void> | null} */
let opening = null;
/** What the page shows: the model, the last photo with its maps, and which of them. @type {any} */
const state = { model: null, photo: null, pages: null, scales: [], isLive: false, backend: "" };
const tiles = new Tiles(byId("grid"), openLarge);
const large = new LargeView(stepLarge);
/** Of the calls for maps: what an earlier one returns is late. */
let latest = 0;

start().then(keep, showProblem);

async function start() {
  byId("served").hidden = true;
  byId("ways").open = matchMedia("(min-width: 761px)").matches;
  listen(); // a photo that is dropped while the model loads waits for it
  await opened();
  if (latest) return; // a photo waits
  const { outputs, crop } = state.model;
  setStatus(`Ready: ${outputs.length} outputs. The model takes ${crop.join(" × ")} pixels.`);
  await call("warm");
}

/** Open the model, unless it is. */
function opened() {
  opening ??= openModel().catch((error) => {
    opening = null;
    throw error;
  });
  return opening;
}

async function openModel() {
  const backend = byId("backend").value || "wasm";
  state.model = await call("open", { site: SITE.href, backend });
  state.backend = backend;
  const { title, outputs, backends, runtime, madeBy, testPhoto } = state.model;
  document.title = `${title} · feature maps`;
  byId("title").textContent = title;
  byId("made").textContent = `Made by layerprobe ${madeBy}; computed by ${runtime} in this browser.`;
  setOptions(byId("depth"), depthOptions(outputs));
  setOptions(
    byId("reduce"),
    [AUTO, ...reductionNames()].map((name) => [name, name]),
  );
  byId("reduce").title = [
    `auto: ${AUTO_WORDS}`,
    ...reductionNames().map((name) => `${name}: ${REDUCTIONS[name].words}`),
  ].join("\n");
  setOptions(
    byId("cmap"),
    [...new Set([...USUAL_COLOURS, ...colourMapNames()])].map((name) => [name, name || "as it suits"]),
  );
  const usable = backends.filter((/** @type {string} */ name) => name !== "webgpu" || "gpu" in navigator);
  for (const id of ["backend", "check-backend"])
    setOptions(
      byId(id),
      usable.map((/** @type {keyof typeof BACKENDS} */ name) => [name, BACKENDS[name]]),
    );
  byId("check").hidden = !state.model.hasTruths;
  for (const id of ["save-tensors", "save-shown"]) byId(id).hidden = !state.model.hasTensors;
  byId("sample").hidden = !testPhoto;
}

/** Last: what is kept for later must not hold up the first photo. */
async function keep() {
  if (await keptOffline(SITE))
    byId("made").textContent += " This page is kept in this browser, and opens without network.";
}

/** The ways to one map that the artifact has tensors for. */
function reductionNames() {
  return state.model.hasTensors ? Object.keys(REDUCTIONS) : ["mean"];
}

function listen() {
  const { stopCamera } = listenForPhotos({
    input: byId("file"),
    camera: byId("camera"),
    onFile: (file, name) => showPhoto(file, name),
    onCamera: followCamera,
    onFrame: (frame) => showPhoto(frame, "the camera", [frame]),
    onProblem: showProblem,
  });
  byId("sample").addEventListener("click", async () => {
    stopCamera();
    const photo = await fetch(state.model.testPhoto).then((response) => response.blob(), () => null);
    if (photo) showPhoto(photo, "test photo");
    else showProblem("The test photo can't be loaded.\nCheck the connection.");
  });
  byId("anew").addEventListener("click", () => call("chooseAnew").catch(showProblem));
  const again = () => newMaps(() => call("pages", { style: style() }));
  for (const id of ["depth", "reduce", "cmap", "overlay", "shared", "symmetric", "aliases"])
    byId(id).addEventListener("change", again);
  byId("filter").addEventListener("input", again);
  byId("choices").addEventListener("submit", (/** @type {Event} */ event) => event.preventDefault());
  byId("backend").addEventListener("change", () =>
    newMaps(async () => {
      await use(byId("backend").value);
      return call("pages", { style: style() });
    }),
  );
  const saving = (/** @type {(state: any) => Promise<string | void>} */ save) => async () => {
    setBusy(true);
    try {
      const said = await save(state);
      if (said) setStatus(said);
    } catch (error) {
      showProblem(error);
    } finally {
      setBusy(false);
    }
  };
  byId("save-picture").addEventListener("click", saving(savePictures));
  byId("save-tensors").addEventListener("click", saving((shown) => saveTensors(call, shown, null)));
  byId("save-shown").addEventListener("click", saving((shown) => saveTensors(call, shown, namesOf(shown.pages))));
  listenForVerdict(async (backend) => {
    await opened();
    return call("check", { backend });
  });
}

/** @param {string} backend */
async function use(backend) {
  try {
    await call("use", { backend });
    state.backend = backend;
  } catch (error) {
    byId("backend").value = state.backend; // which still computes
    throw error;
  }
}

/** @param {boolean} isOn */
function followCamera(isOn) {
  state.isLive = isOn;
  byId("anew").hidden = !isOn;
  if (isOn) call("chooseAnew").catch(showProblem);
  if (isOn) setStatus("The maps follow the camera.");
  else if (!byId("status").classList.contains("problem")) setStatus("The camera has stopped.");
}

/**
 * @param {Blob | ImageBitmap} source
 * @param {string} name
 * @param {Transferable[]} [transfer]
 */
function showPhoto(source, name, transfer = []) {
  return newMaps(async () => {
    await opened();
    const isFirst = transfer.length === 0; // a camera has no time for two
    const found = await call("photo", { source, style: { ...style(), isFirst } }, transfer);
    return { ...found, name };
  });
}

/**
 * @param {() => Promise<any>} compute maps, and of a new photo what the model saw
 * @returns {Promise<boolean>} whether it could
 */
async function newMaps(compute) {
  const mine = ++latest;
  if (!state.isLive) setBusy(true);
  try {
    const started = performance.now();
    const { pages, isRough, ...photo } = await compute();
    // A photo is shown also if another waits: were that no photo, what is shown would not be what the worker has.
    if (mine !== latest && !photo.seen) return true;
    if (photo.seen) state.photo = { ...photo, detail: detailOf(photo) };
    show(pages, started);
    if (!isRough || mine !== latest) return true;
    byId("status").textContent += " Refining …";
    byId("busy").hidden = false;
    const better = await call("pages", { style: style() });
    if (mine === latest) show(better.pages, started);
    return true;
  } catch (error) {
    if (mine === latest) showProblem(error);
    return false;
  } finally {
    if (mine === latest) setBusy(false);
  }
}

/**
 * @param {any} pages
 * @param {number} started when they were asked for
 */
function show(pages, started) {
  state.pages = pages;
  draw();
  const followed = large.isOpen && shownOf(pages.maps.findIndex((/** @type {any} */ map) => large.shows(map)));
  if (followed && followed.map) large.follow(followed);
  const seconds = ((performance.now() - started) / 1000).toFixed(2);
  // One who hears the page is told when the camera starts and ends, and not of each picture.
  setStatus(`${counted(pages.maps.length)} in ${seconds} s.`, state.isLive ? "off" : "polite");
}

/** What is chosen, as the rules of the grid take it. */
function style() {
  const checked = (/** @type {string} */ id) => byId(id).checked;
  const chosen = {
    depth: byId("depth").value || OVERVIEW,
    reduce: byId("reduce").value || AUTO,
    filter: byId("filter").value.trim(),
    cmap: byId("cmap").value || null,
    overlay: checked("overlay"),
    shared: checked("shared"),
    symmetric: checked("symmetric"),
    aliases: checked("aliases"),
    isLive: state.isLive,
  };
  return { ...chosen, reduce: reductionOf(chosen) };
}

/** @param {number} count */
const counted = (count) => `${count} ${count === 1 ? "map" : "maps"}`;

function draw() {
  const { pages, photo } = state;
  document.body.classList.add("drawn");
  byId("choices").hidden = false;
  state.scales = scalesOfPages(pages);
  tiles.show(pages, photo);
  byId("lead").textContent = pages.lead;
  const isAnother = byId("reduce").value === HUED_REDUCTION && pages.style.reduce !== HUED_REDUCTION;
  byId("caption").replaceChildren(...lines([...(isAnother ? [OWN_COLOURS] : []), ...pages.opening]));
  byId("notes").replaceChildren(...lines(pages.maps.length ? notesOf(pages, pages.maps, state.scales) : pages.closing));
  byId("facts").replaceChildren(...lines(pages.facts));
  byId("more-facts").hidden = !pages.facts.length;
}

/** @param {any} photo with its sizes, width first, as photo viewers say them */
const detailOf = ({ seen, size }) => `${seen.width} × ${seen.height} of ${size.join(" × ")}`;

/** @param {string[]} sentences */
const lines = (sentences) => sentences.map((textContent) => make("li", { textContent }));

/** @param {number} index of the maps that are shown */
function shownOf(index) {
  const map = state.pages.maps[index];
  const output = state.model.outputs.find((/** @type {any} */ each) => each.name === map?.name);
  return { output, map, scale: state.scales[index], photo: state.photo, brief: state.pages.brief };
}

/** @param {number} index of the maps that are shown */
function openLarge(index) {
  const shown = shownOf(index);
  const given = { name: shown.output.name, style: { cmap: style().cmap } };
  byId("large-overlay").checked = style().overlay;
  large.show({ ...shown, channels: state.model.hasTensors ? call("channels", given) : null });
}

/** @param {number} step */
function stepLarge(step) {
  const { maps } = state.pages;
  const index = maps.findIndex((/** @type {any} */ map) => large.shows(map));
  openLarge((index + step + maps.length) % maps.length);
}

/** @param {boolean} busy */
function setBusy(busy) {
  byId("busy").hidden = !busy;
  byId("grid").setAttribute("aria-busy", String(busy));
}

/**
 * @param {string} text
 * @param {"polite" | "off"} [live] whether a screen reader says it
 */
function setStatus(text, live = "polite") {
  const place = byId("status");
  place.ariaLive = live;
  place.classList.remove("problem");
  place.textContent = text;
  byId("busy").hidden = true;
}

/** @param {unknown} problem */
function showProblem(problem) {
  setStatus(problem instanceof Error ? problem.message : String(problem));
  byId("status").classList.add("problem");
}
