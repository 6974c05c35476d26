// What the visits of a page in headless Chromium begin with: what they are given, a server of the site, a browser.

import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const { modules, chromium: executablePath, testing, ...others } = JSON.parse(process.argv[2]);
const { chromium } = createRequire(join(modules, "index.js"))("playwright-core");
const { served } = await import(pathToFileURL(join(testing, "served.js")).href);

/** What the test gave besides. */
export const given = others;

/** A server of folders and a browser, which takes more arguments than all take. */
export async function started(folders, args = []) {
  const server = await served(folders);
  const all = ["--no-sandbox", "--disable-background-networking", ...args];
  return { server, browser: await chromium.launch({ executablePath, args: all }) };
}

/** A new page, whose errors and warnings are added to problems, if they are wanted. */
export async function newPage(browser, options = {}, problems = []) {
  const page = await (await browser.newContext(options)).newPage();
  page.setDefaultTimeout(60_000);
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && problems.push(message.text()));
  page.on("pageerror", (error) => problems.push(String(error)));
  return page;
}
