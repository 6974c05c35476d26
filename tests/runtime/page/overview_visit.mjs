// The overview that a page draws in headless Chromium, for test_page_overview.py: what stands on it, as JSON.
import { given, newPage, started } from "./visiting.mjs";

const { site, photo, picture } = given;

const { server, browser } = await started({ site });
const seen = { problems: [], statuses: [] };
const page = await newPage(browser, { acceptDownloads: true }, seen.problems);
await page.exposeFunction("noted", (text) => seen.statuses.push(text));

await page.goto(`${server.address}/site/`);
await page.waitForFunction(() => document.querySelector("#status").textContent.startsWith("Ready"));
await page.evaluate(() => {
  const status = document.querySelector("#status");
  new MutationObserver(() => window.noted(status.textContent)).observe(status, { childList: true });
});
await page.setInputFiles("#file", { name: "photo.png", mimeType: "image/png", buffer: Buffer.from(photo, "base64") });
await page.waitForFunction(() => {
  const status = document.querySelector("#status");
  return / maps in [\d.]+ s\.$/.test(status.textContent) || status.classList.contains("problem");
});
const texts = (selector) => page.locator(selector).allTextContents();
seen.lead = await page.textContent("#lead");
seen.caption = await texts("#caption li");
seen.notes = await texts("#notes li");
seen.facts = await texts("#facts li");
seen.headings = (await texts("#grid .section")).map((text) => text.trim()).filter(Boolean);
seen.names = await texts("#grid button.tile .name");
seen.lines = await page.$$eval("#grid button.tile .details", (all) =>
  all.map((details) => [...details.children].map((line) => line.textContent)),
);
seen.labels = await page.$$eval("#grid button.tile", (all) => all.map((tile) => tile.textContent));
if (!seen.names.length) throw new Error(await page.textContent("#status"));
const [file] = await Promise.all([page.waitForEvent("download"), page.click("#save-picture")]);
await file.saveAs(picture);

/** What the caption says after a choice. */
async function captionAfter(choose) {
  await page.evaluate(() => (document.querySelector("#status").textContent = ""));
  await choose();
  await page.waitForFunction(() => / maps in /.test(document.querySelector("#status").textContent));
  return texts("#caption li");
}
seen.captions = [
  await captionAfter(() => page.selectOption("#reduce", "pca3")),
  await captionAfter(() => page.check("#overlay")),
  await captionAfter(() => page.uncheck("#overlay")),
  await captionAfter(() => page.selectOption("#cmap", "magma")),
  await captionAfter(() => page.selectOption("#reduce", "pca")),
];
await captionAfter(() => page.selectOption("#cmap", ""));
await captionAfter(() => page.selectOption("#reduce", "pca3"));
await captionAfter(() => page.selectOption("#depth", "all"));
await page.setViewportSize({ width: 320, height: 700 });
seen.marks = await page.$$eval("#grid .detail", (all) =>
  all
    .filter((line) => line.querySelector(".faint, .flat"))
    .map((line) => ({
      text: line.textContent,
      isCut: line.firstElementChild.scrollWidth > line.firstElementChild.clientWidth,
      isSeen: line.querySelector(".faint, .flat").getBoundingClientRect().right <= line.getBoundingClientRect().right,
    })),
);
await page.locator("#grid button.tile").first().click();
const isInstead = () => page.textContent("#large-instead");
seen.large = [await isInstead(), await page.check("#large-overlay").then(isInstead)];
process.stdout.write(JSON.stringify(seen));
await browser.close();
server.close();
