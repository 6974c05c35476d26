// What the visitor keeps: the grid as pictures, the tensors as a safetensors file.

import { download, fileName } from "./elements.js";
import { pictures } from "./picture.js";

/** @typedef {import("../src/maps/map_page.js").MapPages} MapPages */
/** What the page shows. @typedef {{ model: any, photo: any, pages: MapPages }} Shown */

/**
 * The outputs whose maps are shown.
 * @param {MapPages} pages
 */
export const namesOf = ({ maps }) => [...new Set(maps.map(({ name }) => name))];

/** @param {Shown} shown */
export async function savePictures({ photo, pages, model }) {
  const title = `${model.title} · ${photo.name}`;
  let page = 0;
  for (const canvas of pictures(pages, photo, title)) {
    page++;
    const content = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    if (!content) throw new Error("This browser can't make a picture so large.\nShow fewer outputs.");
    download(content, `${fileName(title)}${page > 1 ? `-${page}` : ""}.png`);
  }
}

/**
 * @param {(method: string, argument: any) => Promise<any>} call into the worker
 * @param {Shown} shown
 * @param {string[] | null} names of the outputs; null for all
 * @returns {Promise<string>} what was saved, and what judges it
 */
export async function saveTensors(call, { model, photo }, names) {
  const name = `${fileName(`${model.title} ${photo.name}`)}.safetensors`;
  const { content, count } = await call("file", { names });
  download(content, name);
  return (
    `Saved ${count === 1 ? "1 tensor" : `${count} tensors`} and the input, ${(content.size / 1e6).toFixed(1)} MB.\n` +
    `To judge them: layerprobe verify ARTIFACT --tensors ${name} --input ${name}`
  );
}
