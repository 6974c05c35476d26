// Calls into the worker, which computes while the page stays responsive.
//
// A worker of a file of its own has no Content-Security-Policy but what the server sends, and a static server sends
// none. One of a blob inherits the page's: what it runs can't reach another host either.

const NOT_LOADED =
  "A part of this page can't be loaded.\nCheck the connection; or copy the page's whole folder to the server again.";

/**
 * @param {URL} script the worker's module
 * @param {() => void} onLost when the worker has ended: the next call starts another
 * @returns {(method: string, argument?: any, transfer?: Transferable[]) => Promise<any>} calls a method of it
 */
export function startWorker(script, onLost) {
  const blob = new Blob([`import ${JSON.stringify(script.href)};`], { type: "text/javascript" });
  const address = URL.createObjectURL(blob);
  /** @type {Worker | null} */
  let worker = null;
  /** @type {Map<number, { resolve: (value: any) => void, reject: (error: Error) => void }>} */
  const waiting = new Map();
  let last = 0;
  const started = () => {
    const made = new Worker(address, { type: "module" });
    made.addEventListener("message", ({ data: { id, result, error } }) => {
      const call = waiting.get(id);
      waiting.delete(id);
      if (error === undefined) call?.resolve(result);
      else call?.reject(new Error(error));
    });
    made.addEventListener("error", (event) => {
      made.terminate();
      worker = null;
      onLost();
      for (const { reject } of waiting.values()) reject(new Error(event.message || NOT_LOADED));
      waiting.clear();
    });
    return made;
  };
  return (method, argument, transfer = []) =>
    new Promise((resolve, reject) => {
      const id = ++last;
      waiting.set(id, { resolve, reject });
      worker ??= started();
      worker.postMessage({ id, method, argument }, transfer);
    });
}
