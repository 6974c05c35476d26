// Keeps the page in the browser, so that it opens without network: the files that site.json lists, each by its hash. It
// stands in the folder of the page, since it may only answer for what lies beside or below it.
//
// What the server has goes first, so that a page that was replaced is never shown as it was, nor is another page of the
// same address. What is kept answers where the network doesn't.

const scope = /** @type {any} */ (self);
const SITE = new URL("./", scope.location.href);
/** Of site.json: the page names it in this worker's address, so that another page is another worker. */
const DIGEST = new URL(scope.location.href).searchParams.get("site") ?? "";
const KEPT = `layerprobe ${SITE.pathname}`;
const LIST = "site.json";
/** 27 MB that few visitors choose: kept when they have. */
const ON_USE = /^runtime\/.*(webgpu|asyncify)/;

scope.addEventListener("install", (/** @type {any} */ event) => {
  scope.skipWaiting();
  event.waitUntil(keepAll());
});

scope.addEventListener("activate", (/** @type {any} */ event) => {
  event.waitUntil(forgetOthers().then(() => scope.clients.claim()));
});

scope.addEventListener("fetch", (/** @type {any} */ event) => {
  const { request } = event;
  const address = new URL(request.url);
  if (request.method !== "GET" || !`${address.origin}${address.pathname}`.startsWith(SITE.href)) return;
  event.respondWith(answered(event, address.pathname.slice(SITE.pathname.length) || "index.html"));
});

/** One after the other, so that a visitor's own work goes on; what fails is tried again at the next visit. */
async function keepAll() {
  for (const [path, digest] of Object.entries(await listed())) if (!ON_USE.test(path)) await keep(path, digest);
}

/**
 * The page's files: path to SHA-256, hexadecimal.
 * @returns {Promise<Record<string, string>>}
 */
async function listed() {
  return (await (await keep(LIST, DIGEST)).json()).files;
}

/**
 * Return a file as it is kept; fetch it first, if it isn't.
 * @param {string} path
 * @param {string} digest what has another one is refused
 * @returns {Promise<Response>}
 */
async function keep(path, digest) {
  const kept = await caches.open(KEPT);
  const found = await kept.match(key(path, digest));
  if (found) return found;
  const bytes = String.fromCharCode(...(digest.match(/../g) ?? []).map((pair) => parseInt(pair, 16)));
  const response = await fetch(new URL(path, SITE), { cache: "no-cache", integrity: `sha256-${btoa(bytes)}` });
  if (!response.ok) throw new Error(`${path} can't be loaded: the server answered ${response.status}`);
  // Rebuilt: one that the server redirected, as some do for index.html, may not answer for a page.
  const copy = new Response(await response.blob(), { headers: response.headers });
  await kept.put(key(path, digest), copy.clone());
  return copy;
}

/** What a later page has unchanged, under the same hash, isn't fetched again. */
async function forgetOthers() {
  const files = await listed();
  const wanted = new Set([LIST, ...Object.keys(files)].map((path) => key(path, files[path] ?? DIGEST)));
  const kept = await caches.open(KEPT);
  for (const request of await kept.keys()) if (!wanted.has(request.url)) await kept.delete(request);
}

/**
 * @param {any} event
 * @param {string} path within the page
 * @returns {Promise<Response>}
 */
async function answered(event, path) {
  try {
    const response = await fetch(event.request);
    if (ON_USE.test(path) && response.ok) event.waitUntil(keepOnUse(path));
    return response;
  } catch (error) {
    const digest = path === LIST ? DIGEST : (await listed())[path];
    const found = digest && (await (await caches.open(KEPT)).match(key(path, digest)));
    if (!found) throw error;
    return found;
  }
}

/** @param {string} path */
async function keepOnUse(path) {
  const digest = (await listed())[path];
  if (digest) await keep(path, digest).catch(() => undefined);
}

/**
 * @param {string} path
 * @param {string} digest
 */
function key(path, digest) {
  return new URL(`${path}?${digest}`, SITE).href;
}
