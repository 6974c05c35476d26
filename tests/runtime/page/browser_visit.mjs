// A visit to a page in headless Chromium, for test_page_in_browser.py: what it saw, as JSON.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

const { modules, chromium: executablePath, url, elsewhere, photos, folder } = JSON.parse(process.argv[2]);
const { chromium } = createRequire(join(modules, "index.js"))("playwright-core");
const axe = await readFile(join(modules, "axe-core", "axe.min.js"), "utf8");

const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-background-networking"] });
const context = await browser.newContext({ acceptDownloads: true, viewport: { width: 390, height: 844 } });
const page = await context.newPage();
const problems = [];
page.on("console", (message) => ["error", "warning"].includes(message.type()) && problems.push(message.text()));
page.on("pageerror", (error) => problems.push(String(error)));
page.on("dialog", (dialog) => problems.push(`dialog: ${dialog.message()}`) && dialog.dismiss());
page.setDefaultTimeout(60_000);

async function status(text) {
  await page.waitForFunction((wanted) => {
    const place = document.querySelector("#status");
    return place.textContent.includes(wanted) || place.classList.contains("problem");
  }, text);
  return page.textContent("#status");
}

async function saved(button, name) {
  const [file] = await Promise.all([page.waitForEvent("download"), page.click(button)]);
  await file.saveAs(join(folder, name));
}

/** What axe-core, which knows the rules of WCAG, finds wrong for those who see little or hear the page: rule, place. */
async function barriers() {
  await page.evaluate(axe);
  return page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document);
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`));
  });
}

/** What a screen reader is told when it changes: the text of each live region, as Chromium gives it to one. */
async function heard() {
  const { nodes } = await (await context.newCDPSession(page)).send("Accessibility.getFullAXTree");
  const byId = new Map(nodes.map((node) => [node.nodeId, node]));
  const textOf = ({ role, name, childIds }) =>
    role?.value === "StaticText" ? name.value : childIds.map((id) => textOf(byId.get(id) ?? { childIds: [] })).join("");
  const isLive = ({ properties = [] }) => properties.some((each) => each.name === "live" && each.value.value === "polite");
  return nodes.filter((node) => !node.ignored && node.role?.value === "status" && isLive(node)).map(textOf);
}

const seen = { barriers: {} };
await page.goto(url);
seen.ready = await status("Ready");
seen.atFirst = { title: await page.title(), heading: await page.textContent("h1"), problems: [...problems] };

// A photo is dropped, as a visitor drops it.
await page.evaluate(async ([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const dropped = new DataTransfer();
  dropped.items.add(new File([bytes], name, { type: "image/png" }));
  document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
}, photos[0]);
seen.dropped = await status("maps in");
await page.evaluate(() => (document.querySelector("#ways").open = true));
seen.tiles = await page.locator("#grid button.tile .name").allTextContents();
seen.photo = await page.locator("#grid figure.tile").textContent();
seen.caption = await page.locator("#caption li").allTextContents();
seen.notes = await page.locator("#notes li").allTextContents();
seen.foreignElements = await page.locator("#grid img, #grid script, #grid b, dialog img").count();
seen.widerThanThePhone = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

seen.barriers.maps = await barriers();

// By keyboard alone: a tile is opened, a pixel is read, and the channels are there.
await page.locator("#grid button.tile").first().focus();
await page.keyboard.press("Enter");
await page.waitForFunction(() => document.querySelector("#channels button"));
await page.locator("#large-map").focus();
await page.keyboard.press("ArrowRight");
await page.keyboard.press("ArrowDown");
seen.large = {
  name: await page.textContent("#large-name"),
  value: await page.textContent("#value"),
  channels: await page.locator("#channels button").count(),
};
seen.barriers.large = await barriers();
const focused = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent);
await page.locator("#channels button").nth(2).focus();
await page.keyboard.press("Enter");
seen.channel = await page.textContent("#large-detail");
await page.locator("#whole").focus();
await page.keyboard.press("Enter");
seen.afterChannel = await focused();
await page.keyboard.press("PageDown");
seen.next = await page.textContent("#large-name");
await page.keyboard.press("Escape");
seen.closed = !(await page.locator("#large").isVisible());
seen.afterClosing = await focused();

await page.fill("#filter", seen.tiles[1].slice(0, 12));
await page.waitForFunction(() => document.querySelectorAll("#grid button.tile").length === 1);
seen.found = await page.locator("#grid button.tile .name").allTextContents();
await saved("#save-shown", "shown.safetensors");
seen.savedShown = await page.textContent("#status");
await saved("#save-tensors", "every.safetensors");
await page.fill("#filter", "");
await page.waitForFunction(() => document.querySelectorAll("#grid button.tile").length > 1);
await saved("#save-picture", "picture.png");
await saved("#save-tensors", "0.safetensors");
for (const [index, [name, content]] of photos.entries()) {
  if (!index) continue;
  await page.evaluate(() => (document.querySelector("#status").textContent = ""));
  await page.setInputFiles("#file", { name, mimeType: "image/png", buffer: Buffer.from(content, "base64") });
  await status("maps in");
  await saved("#save-tensors", `${index}.safetensors`);
}

seen.heardOfMaps = await heard();
seen.statusBefore = await page.textContent("#status");
await page.focus("#judge");
await page.keyboard.press("Enter");
seen.whileJudging = await focused();
await page.waitForFunction(() => !(document.querySelector("#judge").ariaDisabled === "true"));
seen.verdict = await page.textContent("#verdict");
seen.heardOfVerdict = await heard();
seen.barriers.verdict = await barriers();
await page.emulateMedia({ colorScheme: "dark" });
seen.barriers.dark = await barriers();
seen.problems = [...problems];

// Neither the page nor its worker can reach another host; what they try is told to the console.
const tryIt = (address) => fetch(address, { mode: "no-cors" }).then(() => "reached", () => "refused");
seen.reaching = [await page.evaluate(tryIt, elsewhere), await page.workers()[0].evaluate(tryIt, elsewhere)];
process.stdout.write(JSON.stringify(seen));
await browser.close();
