// node testing/record_in_browser.js ARTIFACT FOLDER: runs the first recorded input in onnxruntime-web, in a page of headless
// Chromium (LAYERPROBE_CHROMIUM), and writes what it computes as FOLDER/0.safetensors, as record_runs.js does in Node.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

import { served } from "./served.js";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));
const IMPORTS = {
  layerprobe: "/layerprobe/src/index.js",
  "onnxruntime-web": "/onnxruntime-web/dist/ort.wasm.min.mjs",
};

const [artifact, to] = process.argv.slice(2);
const pages = await mkdtemp(path.join(tmpdir(), "record-"));
await writeFile(
  path.join(pages, "index.html"),
  `<!doctype html><script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>`,
);
const server = await served({
  pages,
  artifact: path.resolve(artifact),
  layerprobe: PACKAGE,
  "onnxruntime-web": path.join(PACKAGE, "node_modules", "onnxruntime-web"),
});
const browser = await chromium.launch({
  executablePath: process.env.LAYERPROBE_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-background-networking"],
});
try {
  const page = await browser.newPage();
  page.setDefaultTimeout(300_000);
  await page.goto(`${server.address}/pages/`);
  const saved = page.waitForEvent("download");
  await page.evaluate(async () => {
    const [ort, layerprobe] = await Promise.all([import(/** @type {any} */ ("onnxruntime-web")), import("layerprobe")]);
    ort.env.wasm.numThreads = 1; // more need headers of the server
    const opened = await layerprobe.openArtifact("/artifact/");
    const runner = await layerprobe.openRunner(opened, ort);
    const [recorded] = await layerprobe.recordedInputs(opened);
    const file = layerprobe.recordedRun(recorded, await runner.run(recorded.inputs));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([/** @type {any} */ (file)]));
    link.download = "0.safetensors";
    link.click();
  });
  await (await saved).saveAs(path.join(to, "0.safetensors"));
} finally {
  await browser.close();
  server.close();
  await rm(pages, { recursive: true });
}
