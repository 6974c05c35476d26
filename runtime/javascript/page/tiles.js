// The grid: the photo as the model saw it, then a tile for each map, block by block. Tiles stay where they are while the
// camera runs: only their pixels change.

import { ownScale } from "../src/maps/colour_scales.js";
import { markedDetail, usualReduction } from "../src/maps/footer.js";
import { make, named } from "./elements.js";
import { paint, pixelsOfMap, pixelsOfPhoto, setRange } from "./painting.js";

/** @typedef {import("./choice.js").Chosen} Chosen */
/** @typedef {import("./painting.js").Seen} Seen */
/** @typedef {{ tile: HTMLButtonElement, canvas: HTMLCanvasElement, detail: HTMLElement, range: HTMLElement }} Parts */

export class Tiles {
  /**
   * @param {HTMLElement} place
   * @param {(name: string) => void} open what a click on a tile does
   */
  constructor(place, open) {
    this.place = place;
    this.open = open;
    /** @type {Map<string, Parts>} */
    this.parts = new Map();
    this.photo = this.photoTile();
  }

  /**
   * @param {Chosen} chosen
   * @param {Seen} seen
   * @param {{ name: string, size: number[] }} photo
   * @param {{ overlay: boolean, shared: boolean }} style
   */
  show({ maps, scales, sections }, seen, photo, style) {
    paint(this.photo.canvas, pixelsOfPhoto(seen));
    this.photo.name.textContent = photo.name;
    this.photo.detail.textContent = `${seen.width} × ${seen.height} of ${photo.size.join(" × ")}`;
    this.place.classList.toggle("has-blocks", sections.some(Boolean));
    const usual = usualReduction(maps);
    const tiles = maps.map((map, index) => {
      const parts = this.parts.get(map.name) ?? this.newTile(map.name);
      const detail = markedDetail(map, usual);
      const range = style.shared ? ownScale(map.values) : scales[index];
      paint(parts.canvas, pixelsOfMap(map, scales[index], style.overlay ? seen : null));
      parts.tile.classList.toggle("smooth", style.overlay);
      parts.detail.textContent = detail;
      setRange(parts.range, range, map.values);
      const block = sections[index];
      parts.tile.classList.toggle("in-block", block !== "");
      parts.tile.classList.toggle("goes-on", block !== "" && block === sections[index + 1]);
      parts.tile.dataset.block = block && block !== sections[index - 1] ? block : "";
      parts.tile.setAttribute("aria-label", `${map.name}, ${detail}, ${parts.range.textContent}`);
      return parts.tile;
    });
    const wanted = [this.photo.tile, ...tiles];
    const there = this.place.children;
    const same = there.length === wanted.length && wanted.every((tile, index) => there[index] === tile);
    if (!same) this.place.replaceChildren(...wanted);
  }

  photoTile() {
    const canvas = make("canvas");
    const name = named("", "name");
    const detail = make("span", { className: "detail" });
    const tile = make("figure", { className: "tile photo" }, [
      make("figcaption", {}, [name, detail]),
      canvas,
      make("span", { className: "range" }),
    ]);
    return { tile, canvas, name, detail };
  }

  /** @param {string} name */
  newTile(name) {
    const canvas = make("canvas");
    const detail = make("span", { className: "detail" });
    const range = make("span", { className: "range" });
    const tile = make("button", { type: "button", className: "tile", title: name }, [
      make("span", { className: "titles" }, [named(name, "name"), detail]),
      canvas,
      range,
    ]);
    tile.addEventListener("click", () => this.open(name));
    const parts = { tile, canvas, detail, range };
    this.parts.set(name, parts);
    return parts;
  }
}
