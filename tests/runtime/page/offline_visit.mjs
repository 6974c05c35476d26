// A page is opened once, its server ends, and it is opened again, for test_page_offline.py: what was seen, as JSON.
import { given, newPage, started } from "./visiting.mjs";

const { sites, photo } = given;

const folders = { site: sites[0] };
const { server, browser } = await started(folders);
const problems = [];
const page = await newPage(browser, {}, problems);

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

await page.context().setOffline(true);
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
