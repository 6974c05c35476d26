// A page is opened once, its server ends, and it is opened again, for test_page_offline.py: what was seen, as JSON.
import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { modules, chromium: executablePath, testing, sites, photo } = JSON.parse(process.argv[2]);
const { chromium } = createRequire(join(modules, "index.js"))("playwright-core");
const { served } = await import(pathToFileURL(join(testing, "served.js")).href);

const folders = { site: sites[0] };
const server = await served(folders);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox", "--disable-background-networking"] });
const context = await browser.newContext();
const page = await context.newPage();
page.setDefaultTimeout(60_000);
const problems = [];
page.on("console", (message) => ["error", "warning"].includes(message.type()) && problems.push(message.text()));
page.on("pageerror", (error) => problems.push(String(error)));

const includes = (id, text) =>
  page.waitForFunction(
    ([id, text]) => {
      const place = document.querySelector(id);
      return place.textContent.includes(text) || place.classList.contains("problem");
    },
    [id, text],
  );

async function opened(open) {
  await open();
  await includes("#status", "Ready");
  return page.title();
}

async function kept() {
  await includes("#made", "opens without network");
  return page.evaluate(async () => {
    const [name] = await caches.keys();
    const keys = await (await caches.open(name)).keys();
    return keys.map((request) => new URL(request.url).pathname.slice("/site/".length)).sort();
  });
}

const seen = { problems };
seen.first = await opened(() => page.goto(`${server.address}/site/`));
seen.kept = await kept();

// The site is replaced: what the server has goes first, and then is what is kept.
folders.site = sites[1];
seen.replaced = await opened(() => page.reload());
seen.keptAgain = await kept();

await context.setOffline(true);
server.close();
seen.unreachable = await fetch(server.address).then(
  () => false,
  () => true,
);
seen.offline = await opened(() => page.reload());
await page.setInputFiles("#file", { name: "photo.png", mimeType: "image/png", buffer: Buffer.from(photo, "base64") });
await includes("#status", "maps in");
seen.drawn = await page.textContent("#status");
seen.tiles = await page.locator("#grid button.tile").count();
await page.locator("#grid button.tile").first().click();
await page.waitForFunction(() => document.querySelector("#channels button"));
seen.channels = await page.locator("#channels button").count();
await page.locator("#close").click();
await page.click("#judge");
await page.waitForFunction(() => !(document.querySelector("#judge").ariaDisabled === "true"));
seen.verdict = await page.textContent("#verdict");
process.stdout.write(JSON.stringify(seen));
await browser.close();
