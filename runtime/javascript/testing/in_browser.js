// The package in a browser: node --test testing/in_browser.js. LAYERPROBE_CHROMIUM is the browser's program.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

import { fromPython } from "./from_python.js";
import { codeBlocks } from "./in_readme.js";
import { served } from "./served.js";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Awaited<ReturnType<typeof served>>} */
let server;
/** @type {string} */
let pages;

before(async () => {
  pages = await mkdtemp(path.join(tmpdir(), "pages-"));
  await writeFile(path.join(pages, "readme.html"), (await codeBlocks("html")).join("\n"));
  await writeFile(path.join(pages, "empty.html"), "<!doctype html><title>empty</title>");
  server = await served({
    pages,
    layerprobe: PACKAGE,
    "onnxruntime-web": path.join(PACKAGE, "node_modules", "onnxruntime-web"),
    data: fromPython,
    cnn2: path.join(fromPython, "cnn2"),
  });
  // Debian's browser runs as root without its sandbox only.
  browser = await chromium.launch({
    executablePath: process.env.LAYERPROBE_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-background-networking"],
  });
});

after(async () => {
  await browser?.close();
  server?.close();
  await rm(pages, { recursive: true });
});

/**
 * @param {string} name
 * @returns {Promise<{page: import("playwright-core").Page, errors: string[]}>} and what it complains of
 */
async function opened(name) {
  const page = await browser.newPage();
  /** @type {string[]} */
  const errors = [];
  page.on("pageerror", (error) => errors.push(String(error)));
  page.on(
    "console",
    (message) => message.type() === "error" && !message.text().includes("favicon") && errors.push(message.text()),
  );
  await page.goto(`${server.address}/pages/${name}`);
  return { page, errors };
}

test("every photo becomes the input that it becomes in Python, to the bit", async () => {
  const { page } = await opened("empty.html");
  const { count, wrong } = await page.evaluate(async () => {
    const { comparePhotos } = await import(/** @type {any} */ ("/layerprobe/testing/compare_photos.js"));
    return comparePhotos(new Uint8Array(await (await fetch("/data/photos.safetensors")).arrayBuffer()));
  });
  assert.deepEqual(wrong, []);
  assert.ok(count > 200);
});

// Of what Chromium opens: it decodes 16 bits to 8 and converts inks to colours in its own ways.
const DECODED_OTHERWISE = /_16\.png$|^inks|\.tif$/;

test("a photo's file, decoded by the browser, becomes what it becomes in Python", async () => {
  const { page } = await opened("empty.html");
  const { compared, wrong } = await page.evaluate(async (otherwise) => {
    const { preprocess, readSafetensors } = await import(/** @type {any} */ ("/layerprobe/src/index.js"));
    const { decodePhoto } = await import(/** @type {any} */ ("/layerprobe/src/browser_photo.js"));
    const { same } = await import(/** @type {any} */ ("/layerprobe/testing/compare_photos.js"));
    const bytes = async (/** @type {string} */ name) => (await fetch(`/data/files/${name}`)).arrayBuffer();
    const { tensors, metadata } = readSafetensors(new Uint8Array(await bytes("expected.safetensors")));
    /** @type {string[][]} */
    const [compared, wrong] = [[], []];
    for (const [number, name] of JSON.parse(metadata.get("files")).entries()) {
      if (new RegExp(otherwise).test(name)) continue;
      const pixels = await decodePhoto(new Blob([await bytes(name)]));
      const { photo, input } = preprocess(pixels, JSON.parse(metadata.get("steps")));
      compared.push(name);
      if (!same(photo.data, tensors.get(`${number}/photo`).data)) wrong.push(`${name}: the pixels differ`);
      else if (!same(input.data, tensors.get(`${number}/input`).data)) wrong.push(`${name}: the input differs`);
    }
    return { compared, wrong };
  }, DECODED_OTHERWISE.source);
  assert.deepEqual(wrong, []);
  for (const kind of ["grey", "palette", "palette_transparent", "rgb_alpha", "black_and_white"])
    assert.ok(compared.includes(`${kind}.png`), kind);
  for (let turn = 1; turn <= 8; turn++) assert.ok(compared.includes(`exif_${turn}.jpg`));
});

test("the page of the README shows every tensor of a photo that is picked", async () => {
  const { page, errors } = await opened("readme.html");
  await page.setInputFiles("input", path.join(fromPython, "photo.jpg"));
  await page.waitForFunction(() => document.querySelector("pre")?.textContent !== "", null, { timeout: 120_000 });
  const lines = (await page.textContent("pre"))?.split("\n") ?? [];
  assert.deepEqual([lines[0], lines.at(-1), lines.length], ["cnn1 1 x 64 x 64 x 64", "fc 1 x 6", 19]);
  assert.deepEqual(errors, []);
});

test("what the browser computes from a recorded input is written for Python to judge", async () => {
  const { page } = await opened("readme.html");
  const bytes = await page.evaluate(async () => {
    const [ort, layerprobe] = await Promise.all([import(/** @type {any} */ ("onnxruntime-web")), import("layerprobe")]);
    const artifact = await layerprobe.openArtifact("/cnn2/");
    const runner = await layerprobe.openRunner(artifact, ort);
    const [recorded] = await layerprobe.recordedInputs(artifact);
    return Array.from(layerprobe.recordedRun(recorded, await runner.run(recorded.inputs), { sampled: true }));
  });
  await writeFile(path.join(fromPython, "from_browser.safetensors"), Uint8Array.from(bytes));
});
