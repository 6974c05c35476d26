// The camera on a page in headless Chromium, for test_page_camera.py: which tiles there are, picture by picture, as JSON.
import { rename } from "node:fs/promises";
import { join } from "node:path";

import { given, newPage, started } from "./visiting.mjs";

const { site, film } = given;

const { server, browser } = await started({ site }, [
  "--use-fake-ui-for-media-stream",
  "--use-fake-device-for-media-stream",
  `--use-file-for-fake-video-capture=${film}`,
]);
const seen = { problems: [] };
const page = await newPage(browser, {}, seen.problems);

/** What is shown of so many pictures of the camera, of which each differs from the one before: tiles by name, pixels. */
const frames = (count) =>
  page.evaluate(
    (count) =>
      new Promise((resolve) => {
        const found = [];
        const watching = new MutationObserver(() => {
          const tiles = [...document.querySelectorAll("#grid button.tile")];
          const names = tiles.map((tile) => tile.querySelector(".name").textContent);
          const pixels = tiles.map((tile) => tile.querySelector("canvas").toDataURL()).join();
          const isSaid = document.querySelector("#status").ariaLive !== "off";
          const last = found.at(-1);
          if (last?.pixels !== pixels) found.push({ names, pixels, isSaid });
          if (found.length < count) return;
          watching.disconnect();
          resolve(found);
        });
        watching.observe(document.querySelector("#caption"), { childList: true }); // written anew of each, after the tiles
      }),
    count,
  );

await page.goto(`${server.address}/site/`);
await page.waitForFunction(() => document.querySelector("#status").textContent.startsWith("Ready"));
await page.click("#camera");
seen.frames = await frames(16);
seen.focused = await page.evaluate(() => document.activeElement.id);
// By which picture they are chosen anew is up to the clock.
const before = String(seen.frames.at(-1).names);
for (seen.tries = 0; seen.tries < 40; seen.tries++) {
  await page.click("#anew");
  await frames(2);
  seen.anew = await frames(4);
  if (String(seen.anew.at(-1).names) !== before) break;
}
await page.selectOption("#depth", "all");
await frames(2);
seen.all = await frames(8);
await page.click("#camera");
seen.stopped = await page.evaluate(() => {
  return { live: document.querySelector("#status").ariaLive, hidden: document.querySelector("#anew").hidden };
});

// A page whose model can't be loaded: no picture of the camera can be shown.
await rename(join(site, "artifact", "model.onnx"), join(site, "..", "model.onnx"));
const other = await (await browser.newContext({ serviceWorkers: "block" })).newPage();
await other.goto(`${server.address}/site/`);
await other.waitForFunction(() => document.querySelector("#status").classList.contains("problem"));
await other.click("#camera");
await other.waitForFunction(() => document.querySelector("#camera").ariaPressed === "true");
await other.waitForFunction(() => document.querySelector("#camera").ariaPressed === "false");
seen.failed = await other.textContent("#status.problem");
process.stdout.write(JSON.stringify(seen));
await browser.close();
server.close();
