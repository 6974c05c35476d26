// Has the browser keep the page, for when there is no network: see service_worker.js, which does.

/**
 * Return once the page is kept, with true; false where a browser keeps none: from another address than https or
 * localhost, in some private windows.
 * @param {URL} site the folder
 * @returns {Promise<boolean>}
 */
export async function keptOffline(site) {
  if (!("serviceWorker" in navigator)) return false;
  try {
    const list = await (await fetch(new URL("site.json", site))).arrayBuffer();
    const digest = [...new Uint8Array(await crypto.subtle.digest("SHA-256", list))]
      .map((byte) => byte.toString(16).padStart(2, "0"))
      .join("");
    const script = new URL(`service_worker.js?site=${digest}`, site);
    const registration = await navigator.serviceWorker.register(script, { scope: site.href, updateViaCache: "none" });
    const worker = registration.installing ?? registration.waiting ?? registration.active;
    return worker !== null && (await settled(worker)) === "activated";
  } catch {
    return false;
  }
}

/**
 * @param {ServiceWorker} worker
 * @returns {Promise<ServiceWorkerState>} activated, or redundant
 */
function settled(worker) {
  return new Promise((resolve) => {
    const look = () => ["activated", "redundant"].includes(worker.state) && resolve(worker.state);
    worker.addEventListener("statechange", look);
    look();
  });
}
