// Calls into the worker, which computes while the page stays responsive.
//
// A worker of a file of its own has no Content-Security-Policy but what the server sends, and a static server sends
// none. One of a blob inherits the page's: what it runs can't reach another host either.

/**
 * @param {URL} script the worker's module
 * @returns {(method: string, argument?: any, transfer?: Transferable[]) => Promise<any>} calls a method of it
 */
export function startWorker(script) {
  const blob = new Blob([`import ${JSON.stringify(script.href)};`], { type: "text/javascript" });
  const address = URL.createObjectURL(blob);
  const worker = new Worker(address, { type: "module" });
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  const waiting = new Map();
  let last = 0;
  worker.addEventListener("message", ({ data: { id, result, error } }) => {
    const call = waiting.get(id);
    waiting.delete(id);
    if (error === undefined) call?.resolve(result);
    else call?.reject(new Error(error));
  });
  worker.addEventListener("error", (event) => {
    for (const { reject } of waiting.values()) reject(new Error(event.message || "the page's worker can't be loaded"));
    waiting.clear();
  });
  return (method, argument, transfer = []) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ id, method, argument }, transfer);
    });
}
