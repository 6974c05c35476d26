// One output large: its map, or one channel, with the value under the pointer, alone or over the photo; and all its
// channels as tiles, some at a time.

import { channelOf } from "../src/maps/channel_grid.js";
import { SEQUENTIAL } from "../src/maps/colour_scales.js";
import { HUED } from "../src/maps/component_colours.js";
import { detailOf } from "../src/maps/feature_maps.js";
import { OWN_COLOURS } from "../src/maps/reductions.js";
import { coloursOf } from "../src/maps/tile.js";
import { general, withMinus } from "../src/number_words.js";
import { byId, make } from "./elements.js";
import { paint, setRange } from "./painting.js";

/** @typedef {import("../src/maps/tile.js").Values} Values */
/** @typedef {import("../src/maps/colour_scales.js").ColourScale} ColourScale */
/**
 * @typedef {object} Shown
 * @property {any} output of the manifest
 * @property {import("../src/maps/feature_maps.js").FeatureMap} map
 * @property {ColourScale | null} scale
 * @property {boolean} brief whether the ends of its colours are said in short
 * @property {any} photo `seen`, `photo` and `region` as of the worker
 * @property {Promise<any> | null} channels the tensor with its `grid`; null where only the mean is there
 */

const AT_ONCE = 64;
/** Of the photo, over white, where the model didn't see it. */
const DIMMED = 0.35;
/** By key: to the right, down. @type {Record<string, [number, number]>} */
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * The scale of a map over the photo, which is grey: the greys of a brightness would not be seen.
 * @param {ColourScale | null} scale
 */
export const scaleOverPhoto = (scale) => (scale?.cmap === HUED ? { ...scale, cmap: SEQUENTIAL } : scale);

export class LargeView {
  /** @param {(step: number) => void} onStep to the next output, or the one before */
  constructor(onStep) {
    this.dialog = byId("large");
    this.canvas = byId("large-map");
    this.tiles = byId("channels");
    /** @type {Shown | null} */
    this.shown = null;
    /** @type {(Values & { channel?: number }) | null} what is large */
    this.drawn = null;
    /** @type {ColourScale | null} */
    this.scale = null;
    /** @type {[number, number]} the pixel whose value is read */
    this.cursor = [0, 0];
    /** @type {any} */
    this.tensor = null;
    byId("close").addEventListener("click", () => this.dialog.close());
    byId("previous").addEventListener("click", () => onStep(-1));
    byId("next").addEventListener("click", () => onStep(1));
    byId("large-overlay").addEventListener("change", () => this.draw());
    byId("whole").addEventListener("click", () => {
      this.show(/** @type {Shown} */ (this.shown));
      this.canvas.focus(); // the button is gone
    });
    byId("channel-order").addEventListener("change", () => this.listChannels());
    byId("more").addEventListener("click", () => {
      const before = this.tiles.children.length;
      this.addChannels();
      /** @type {HTMLElement} */ (this.tiles.children[before]).focus(); // the button may be gone
    });
    this.canvas.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => this.point(event));
    this.canvas.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => this.point(event));
    this.dialog.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "PageUp" || event.key === "PageDown") onStep(event.key === "PageUp" ? -1 : 1);
      else if (event.target === this.canvas && event.key in ARROWS) this.move(ARROWS[event.key]);
      else return;
      event.preventDefault();
    });
  }

  get isOpen() {
    return this.dialog.open;
  }

  /**
   * Whether it is this map that is shown, maybe of another photo.
   * @param {{ name: string, part: string }} map
   */
  shows({ name, part }) {
    return this.shown?.map.name === name && this.shown.map.part === part;
  }

  /** @param {Shown} shown */
  show(shown) {
    const same = this.shown?.output.name === shown.output.name;
    this.shown = shown;
    byId("large-name").textContent = shown.output.name;
    const { source_file: file, source_line: line } = shown.output;
    const { map } = shown;
    const said = [detailOf(map), map.part, file ? `${file}:${line}` : ""];
    byId("large-detail").textContent = said.filter(Boolean).join(" · ");
    byId("whole").hidden = true;
    this.enlarge(shown.map, shown.scale);
    if (!this.dialog.open) this.dialog.showModal();
    if (!same) this.dialog.scrollTop = 0;
    this.loadChannels(shown);
  }

  /**
   * The same output of another photo, as the camera's next: its channels stay those of the photo that was opened.
   * @param {Omit<Shown, "channels">} shown
   */
  follow(shown) {
    if (!this.shown || this.drawn?.channel !== undefined) return;
    Object.assign(this.shown, shown);
    const { cursor } = this;
    this.enlarge(shown.map, shown.scale);
    this.cursor = cursor;
  }

  /**
   * @param {Values & { channel?: number }} drawn
   * @param {ColourScale | null} scale
   */
  enlarge(drawn, scale) {
    this.drawn = drawn;
    this.scale = scale;
    this.cursor = [Math.floor(drawn.width / 2), Math.floor(drawn.height / 2)];
    byId("value").textContent = "Point at a pixel, or move with the arrow keys, to read its value.";
    this.draw();
  }

  draw() {
    if (!this.drawn || !this.shown) return;
    const { drawn } = this;
    const { seen, photo, region, size } = this.shown.photo;
    const isOver = byId("large-overlay").checked;
    const scale = isOver ? scaleOverPhoto(this.scale) : this.scale;
    const isInstead = scale?.cmap !== this.scale?.cmap;
    byId("large-instead").hidden = !isInstead;
    byId("large-instead").textContent = isInstead ? OWN_COLOURS : "";
    setRange(byId("large-range"), scale, drawn.values, { brief: Boolean(this.shown.brief) });
    this.canvas.classList.toggle("smooth", isOver);
    const what = drawn.channel === undefined ? "" : `, channel ${drawn.channel}`;
    this.canvas.setAttribute("aria-label", `${this.shown.output.name}${what}, ${drawn.height} × ${drawn.width} pixels`);
    const shape = isOver ? photo : drawn;
    this.canvas.style.setProperty("--aspect", String(shape.width / shape.height));
    if (!isOver) return paint(this.canvas, coloursOf(drawn, scale));
    const over = make("canvas");
    paint(over, coloursOf(drawn, scale, seen));
    this.canvas.width = photo.width;
    this.canvas.height = photo.height;
    const context = this.canvas.getContext("2d");
    const { x, y, width, height } = this.placed(region, size, photo);
    context.fillStyle = "#fff";
    context.fillRect(0, 0, photo.width, photo.height);
    context.globalAlpha = DIMMED;
    context.drawImage(photo, 0, 0);
    context.globalAlpha = 1;
    context.drawImage(over, x, y, width, height);
    context.strokeStyle = "#fff";
    context.strokeRect(x + 0.5, y + 0.5, width - 1, height - 1);
    return undefined;
  }

  /**
   * Where the model's crop lies in the photo as it is shown.
   * @param {{ left: number, top: number, right: number, bottom: number }} region in the photo's own pixels
   * @param {number[]} size of the photo
   * @param {{ width: number, height: number }} photo
   */
  placed(region, size, photo) {
    const [across, down] = [photo.width / size[0], photo.height / size[1]];
    return {
      x: region.left * across,
      y: region.top * down,
      width: (region.right - region.left) * across,
      height: (region.bottom - region.top) * down,
    };
  }

  /** @param {PointerEvent} event */
  point(event) {
    if (!this.drawn || !this.shown) return;
    const box = this.canvas.getBoundingClientRect();
    let [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    if (byId("large-overlay").checked) {
      const { region, size } = this.shown.photo;
      x = (x * size[0] - region.left) / (region.right - region.left);
      y = (y * size[1] - region.top) / (region.bottom - region.top);
    }
    if (x < 0 || y < 0 || x >= 1 || y >= 1) return;
    this.cursor = [Math.floor(x * this.drawn.width), Math.floor(y * this.drawn.height)];
    this.read();
  }

  /** @param {[number, number]} step */
  move([right, down]) {
    if (!this.drawn) return;
    const within = (/** @type {number} */ at, /** @type {number} */ size) => Math.min(Math.max(at, 0), size - 1);
    this.cursor = [within(this.cursor[0] + right, this.drawn.width), within(this.cursor[1] + down, this.drawn.height)];
    this.read();
  }

  read() {
    if (!this.drawn) return;
    const [x, y] = this.cursor;
    const value = this.drawn.values[y * this.drawn.width + x];
    byId("value").textContent = `row ${y}, column ${x}: ${withMinus(general(value, 6))}`;
  }

  /** @param {Shown} shown */
  async loadChannels(shown) {
    const part = byId("channels-part");
    part.hidden = !shown.channels;
    if (!shown.channels) return;
    byId("channels-note").textContent = "Computing the channels …";
    try {
      const tensor = await shown.channels;
      if (this.shown !== shown) return; // another output is shown by now
      this.tensor = tensor;
      byId("channels-name").textContent = `${tensor.channels} channels`;
      byId("channels-note").textContent = [tensor.grid.lead, "All in one scale.", ...tensor.grid.notes].filter(Boolean).join(" ");
      this.listChannels();
    } catch (error) {
      byId("channels-note").textContent = error instanceof Error ? error.message : String(error);
    }
  }

  listChannels() {
    this.tiles.replaceChildren();
    this.addChannels();
  }

  addChannels() {
    const { numbers, strongest, scale } = this.tensor.grid;
    const order = byId("channel-order").value === "number" ? numbers : strongest;
    const from = this.tiles.children.length;
    for (const channel of order.slice(from, from + AT_ONCE)) {
      const drawn = {
        channel,
        width: this.tensor.width,
        height: this.tensor.height,
        values: channelOf(this.tensor, channel),
      };
      const canvas = make("canvas");
      paint(canvas, coloursOf(drawn, scale));
      const tile = make("button", { type: "button", className: "tile", "aria-label": `channel ${channel}` }, [
        String(channel),
        canvas,
      ]);
      tile.addEventListener("click", () => {
        byId("large-detail").textContent =
          `channel ${channel} of ${this.tensor.channels} · ${this.tensor.height} × ${this.tensor.width}`;
        byId("whole").hidden = false;
        this.enlarge(drawn, scale);
        this.canvas.scrollIntoView({ block: "nearest" });
      });
      this.tiles.append(tile);
    }
    const left = order.length - this.tiles.children.length;
    byId("more").hidden = left <= 0;
    byId("more").textContent = `Show ${Math.min(left, AT_ONCE)} more of ${left}`;
  }
}
