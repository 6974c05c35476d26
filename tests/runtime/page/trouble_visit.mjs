// What goes wrong on a page in headless Chromium, for test_page_trouble.py: what it says, and whether it goes on, as JSON.
import { rename } from "node:fs/promises";
import { join } from "node:path";

import { given, newPage, started } from "./visiting.mjs";

const { site, photo, bad, files } = given;

const { server, browser } = await started({ site });

/** A page of its own, without what a service worker keeps. */
async function opened() {
  const page = await newPage(browser, { serviceWorkers: "block" });
  await page.goto(`${server.address}/site/`);
  return page;
}

const drop = (page, ...dropped) =>
  page.evaluate((dropped) => {
    const status = document.querySelector("#status");
    status.classList.remove("problem");
    status.textContent = "";
    for (const [name, type, content] of dropped) {
      const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], name, { type }));
      document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
    }
  }, dropped);

/** What the status says in the end. */
async function said(page, id = "status") {
  await page.waitForFunction((id) => {
    const place = document.getElementById(id);
    return /^Ready|^All pass| s\.$/.test(place.textContent) || place.classList.contains("problem");
  }, id);
  return page.evaluate((id) => {
    const place = document.getElementById(id);
    return { text: place.textContent, isProblem: place.classList.contains("problem") };
  }, id);
}

const photoShown = (page) => page.locator("#grid figure.tile .name").textContent();

const seen = { bad: {}, files: {} };
const page = await opened();
await said(page);
for (const [name, type, content] of bad) {
  await drop(page, [name, type, content]);
  seen.bad[name] = await said(page);
  await drop(page, ["good.png", "image/png", photo]);
  seen.bad[name].then = (await said(page)).text;
}

// Another photo is dropped while the first is computed; the second time it is none.
await drop(page, ["first.png", "image/png", photo], ["second.png", "image/png", photo]);
await page.waitForFunction(() => document.querySelector("#grid figure.tile .name").textContent === "second.png");
seen.second = (await said(page)).text;
await drop(page, ["third.png", "image/png", photo], ["none.jpg", "image/jpeg", btoa("none")]);
await page.waitForFunction(() => document.querySelector("#status").classList.contains("problem"));
seen.third = { photo: await photoShown(page), ...(await said(page)) };

// A backend whose files aren't there leaves the one before at work.
await page.selectOption("#backend", "webgpu");
await page.waitForFunction(() => document.querySelector("#status").textContent.includes("ort.webgpu"));
seen.webgpu = { ...(await said(page)), chosen: await page.inputValue("#backend") };
await drop(page, ["good.png", "image/png", photo]);
seen.webgpu.then = (await said(page)).text;

// A file of the page is missing while it is opened, and is there when a photo is dropped.
for (const file of files) {
  const [here, away] = [join(site, file), join(site, "..", "away")];
  await rename(here, away);
  const page = await opened();
  seen.files[file] = await said(page);
  await rename(away, here);
  await drop(page, ["good.png", "image/png", photo]);
  seen.files[file].then = (await said(page)).text;
  await page.context().close();
}

// The network ends before the verdict: what it needs was not loaded yet.
server.close();
await page.click("#judge");
seen.verdict = await said(page, "headline");
process.stdout.write(JSON.stringify(seen));
await browser.close();
