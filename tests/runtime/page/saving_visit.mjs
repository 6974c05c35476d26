// A page opened in headless Chromium, for code_blocks.py: a photo is picked, and its tensors are saved.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { modules, chromium: executablePath, testing, site, photo, tensors } = JSON.parse(process.argv[2]);
const { chromium } = createRequire(join(modules, "index.js"))("playwright-core");
const { served } = await import(pathToFileURL(join(testing, "served.js")).href);

const server = await served({ site });
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-background-networking"] });
const page = await (await browser.newContext({ acceptDownloads: true })).newPage();
page.setDefaultTimeout(60_000);
await page.goto(`${server.address}/site/`);
await page.setInputFiles("#file", photo);
await page.waitForFunction(() => document.querySelector("#grid button.tile"));
const [file] = await Promise.all([page.waitForEvent("download"), page.click("#save-tensors")]);
await file.saveAs(tensors);
await browser.close();
server.close();
