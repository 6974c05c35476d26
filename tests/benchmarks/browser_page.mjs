// Visits of a page in headless Chromium, for browser_page.py: seconds until it is ready, and until a photo's maps are
// there. A visitor takes a second to choose a photo, in which the page computes once to be warm.
import { createRequire } from "node:module";
import { join } from "node:path";

const { modules, chromium: executablePath, url, photo, rounds } = JSON.parse(process.argv[2]);
const { chromium } = createRequire(join(modules, "index.js"))("playwright-core");
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-background-networking"] });
const seconds = { ready: [], first: [], next: [] };

async function mapsOf(page, kind) {
  const started = performance.now();
  await page.setInputFiles("#file", photo);
  await page.waitForFunction(() => document.querySelector("#status").textContent.includes("maps in"));
  seconds[kind].push((performance.now() - started) / 1000);
  await page.evaluate(() => (document.querySelector("#status").textContent = ""));
}

for (let round = 0; round < rounds; round++) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(120_000);
  const started = performance.now();
  await page.goto(url);
  await page.waitForFunction(() => document.querySelector("#status").textContent.startsWith("Ready"));
  seconds.ready.push((performance.now() - started) / 1000);
  await page.waitForTimeout(1000);
  await mapsOf(page, "first");
  await mapsOf(page, "next");
  await context.close();
}
process.stdout.write(JSON.stringify(seconds));
await browser.close();
