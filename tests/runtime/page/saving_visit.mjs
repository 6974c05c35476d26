// A page opened in headless Chromium, for code_blocks.py: a photo is picked, and its tensors are saved.
import { given, newPage, started } from "./visiting.mjs";

const { site, photo, tensors } = given;

const { server, browser } = await started({ site });
const page = await newPage(browser, { acceptDownloads: true });
await page.goto(`${server.address}/site/`);
await page.setInputFiles("#file", photo);
await page.waitForFunction(() => document.querySelector("#grid button.tile"));
const [file] = await Promise.all([page.waitForEvent("download"), page.click("#save-tensors")]);
await file.saveAs(tensors);
await browser.close();
server.close();
