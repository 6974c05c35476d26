// The grid as a picture, laid out as `layerprobe grid` lays out its pages.

import { ownScale, rangeText } from "../src/maps/colour_scales.js";
import { markedDetail, usualReduction } from "../src/maps/footer.js";
import { MARGIN, OUTPUT_PAGE, breakName, cornerOf, fit, layOut, shortenFront } from "../src/maps/page_layout.js";
import { pageRanges } from "../src/maps/sections.js";
import { make } from "./elements.js";
import { colourBar, paint, pixelsOfMap, pixelsOfPhoto } from "./painting.js";

/** @typedef {import("./choice.js").Chosen} Chosen */
/** @typedef {import("../src/maps/page_layout.js").GridLayout} GridLayout */
/** @typedef {import("../src/maps/colour_scales.js").ColourScale} ColourScale */

const [INK, SOFT_INK, FRAME, RULE] = ["#1c1c1c", "#666666", "#d4d4d4", "#8fa3b5"];
const FONT = '"DejaVu Sans", system-ui, sans-serif';

/**
 * The pages, one after the other.
 * @param {Chosen} chosen
 * @param {any} photo `seen`, `name` and `size`
 * @param {{ title: string, style: any }} given
 * @returns {Generator<HTMLCanvasElement>}
 */
export function* pictures(chosen, photo, { title, style }) {
  const ranges = pageRanges(
    chosen.maps.map((map) => map.path),
    OUTPUT_PAGE.mostTiles,
  );
  for (const [number, [from, to]] of ranges.entries()) {
    const several = ranges.length > 1;
    const notes = several
      ? [`Page ${number + 1} of ${ranges.length}: tiles ${from + 1} to ${to} of ${chosen.maps.length}.`]
      : [];
    const some = {
      maps: chosen.maps.slice(from, to),
      scales: chosen.scales.slice(from, to),
      sections: chosen.sections.slice(from, to),
      notes: [...chosen.notes, ...notes],
    };
    yield page(some, photo, { title: several ? `${title} · page ${number + 1} of ${ranges.length}` : title, style });
  }
}

/**
 * @param {Chosen} chosen of one page
 * @param {any} photo
 * @param {{ title: string, style: any }} given
 */
function page(chosen, photo, { title, style }) {
  const canvas = make("canvas");
  const pen = new Pen(canvas);
  const { seen } = photo;
  /** @type {[number, number]} */
  const seenShape = [seen.height, seen.width];
  const layout = layOut(
    [
      seenShape,
      ...chosen.maps.map(
        (map) => /** @type {[number, number]} */ (style.overlay ? seenShape : [map.height, map.width]),
      ),
    ],
    {
      kind: OUTPUT_PAGE,
      names: chosen.maps.map((map) => map.name),
      notes: chosen.notes,
      measure: (text, size, bold) => pen.measure(text, size, bold),
      hasTitle: true,
      sections: chosen.sections.some(Boolean),
    },
  );
  [canvas.width, canvas.height] = [layout.width, layout.height];
  pen.box(0, 0, layout.width, layout.height, "#ffffff");
  pen.fitted(title, MARGIN, MARGIN + layout.text, layout.text + 4, layout.width - 2 * MARGIN, INK, true);
  photoTile(pen, layout, photo);
  blockNames(pen, layout, ["", ...chosen.sections]);
  const usual = usualReduction(chosen.maps);
  chosen.maps.forEach((map, index) => {
    const [x, top] = cornerOf(layout, index + 1);
    const lines = breakName(map.name, (text) => pen.measure(text, layout.text, true), layout.side);
    let baseline = top + layout.sectionHeight + (layout.nameLines - lines.length) * layout.line + layout.text;
    for (const line of lines) {
      pen.text(line, x, baseline, layout.text, INK, true);
      baseline += layout.line;
    }
    pen.fitted(markedDetail(map, usual), x, baseline, layout.text - 1, layout.side, SOFT_INK);
    const y = top + layout.sectionHeight + layout.titlesHeight;
    const [width, height] = fit(style.overlay ? seenShape : [map.height, map.width], layout.side);
    pen.pixels(pixelsOfMap(map, chosen.scales[index], style.overlay ? seen : null), x, y, width, height, style.overlay);
    const scale = style.shared ? ownScale(map.values) : chosen.scales[index];
    range(pen, scale, x, y + height + 6, Math.max(width, Math.floor(layout.side / 2)), layout.text - 2, !style.shared);
  });
  layout.notes.forEach((note, index) =>
    pen.text(note, MARGIN, layout.notesTop + layout.text + index * layout.line, layout.text - 1, SOFT_INK),
  );
  return canvas;
}

/**
 * @param {Pen} pen
 * @param {GridLayout} layout
 * @param {any} photo
 */
function photoTile(pen, layout, { seen, name, size }) {
  const [x, top] = cornerOf(layout, 0);
  const y = top + layout.sectionHeight + layout.titlesHeight;
  const baseline = y - layout.titlesHeight + (layout.nameLines - 1) * layout.line + layout.text;
  pen.text(
    shortenFront(name, (text) => pen.measure(text, layout.text, true), layout.side),
    x,
    baseline,
    layout.text,
    INK,
    true,
  );
  const [width, height] = fit([seen.height, seen.width], layout.side);
  pen.pixels(pixelsOfPhoto(seen), x, y, width, height, false);
  pen.fitted(
    `${seen.width} × ${seen.height} of ${size.join(" × ")}`,
    x,
    baseline + layout.line,
    layout.text - 1,
    layout.side,
    SOFT_INK,
  );
}

/**
 * A rule above the tiles of each block, and its name where it begins, and where its next row does.
 * @param {Pen} pen
 * @param {GridLayout} layout
 * @param {string[]} sections
 */
function blockNames(pen, layout, sections) {
  sections.forEach((block, index) => {
    const startsRow = index % layout.columns === 0;
    if (!block || (!startsRow && sections[index - 1] === block)) return;
    let last = index;
    while (sections[last + 1] === block && (last + 1) % layout.columns) last++;
    const [x, y] = cornerOf(layout, index);
    const width = cornerOf(layout, last)[0] + layout.side - x;
    pen.box(x, y, width, 2, RULE);
    const size = layout.text - 2;
    pen.text(
      shortenFront(block, (text) => pen.measure(text, size, true), width),
      x,
      y + 4 + size,
      size,
      RULE,
      true,
    );
  });
}

/**
 * The ends of a map's colours, with the colour bar between them where there is room.
 * @param {Pen} pen
 * @param {ColourScale | null} scale
 * @param {number} x
 * @param {number} y
 * @param {number} width
 * @param {number} size
 * @param {boolean} bar
 */
function range(pen, scale, x, y, width, size, bar) {
  if (!scale) return;
  const [low, high] = rangeText(scale);
  const [left, right] = [low, high].map((text) => Math.round(pen.measure(text, size, false)));
  const room = width - left - right - 12;
  if (scale.lowest === scale.highest) pen.fitted(`constant ${low}`, x, y + size, size, width, SOFT_INK);
  else if (!bar || room < 16) pen.fitted(`${low} to ${high}`, x, y + size, size, width, SOFT_INK);
  else {
    pen.text(low, x, y + size, size, SOFT_INK);
    pen.text(high, x + width - right, y + size, size, SOFT_INK);
    pen.image(colourBar(scale.cmap), x + left + 6, y + size - 7, room, 6);
  }
}

/** Draws on a canvas in pixels. */
class Pen {
  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  }

  /** @param {string} text @param {number} size @param {boolean} bold */
  measure(text, size, bold) {
    this.context.font = `${bold ? "bold " : ""}${size}px ${FONT}`;
    return this.context.measureText(text).width;
  }

  /** @param {string} text @param {number} x @param {number} y @param {number} size @param {string} ink @param {boolean} [bold] */
  text(text, x, y, size, ink, bold = false) {
    this.context.font = `${bold ? "bold " : ""}${size}px ${FONT}`;
    this.context.fillStyle = ink;
    this.context.fillText(text, x, y);
  }

  /**
   * Smaller by a few pixels at most, and cut in front, to fit.
   * @param {string} text @param {number} x @param {number} y @param {number} size @param {number} width
   * @param {string} ink @param {boolean} [bold]
   */
  fitted(text, x, y, size, width, ink, bold = false) {
    const smallest = Math.min(size, Math.max(size - 4, 10));
    let found = size;
    while (found > smallest && this.measure(text, found, bold) > width) found--;
    this.text(
      shortenFront(text, (each) => this.measure(each, found, bold), width),
      x,
      y,
      found,
      ink,
      bold,
    );
  }

  /** @param {number} x @param {number} y @param {number} width @param {number} height @param {string} ink */
  box(x, y, width, height, ink) {
    this.context.fillStyle = ink;
    this.context.fillRect(x, y, width, height);
  }

  /**
   * @param {ImageData} pixels @param {number} x @param {number} y @param {number} width @param {number} height
   * @param {boolean} smooth
   */
  pixels(pixels, x, y, width, height, smooth) {
    const canvas = make("canvas");
    paint(canvas, pixels);
    this.box(x - 1, y - 1, width + 2, height + 2, FRAME);
    this.image(canvas, x, y, width, height, smooth);
  }

  /** @param {HTMLCanvasElement} image @param {number} x @param {number} y @param {number} width @param {number} height @param {boolean} [smooth] */
  image(image, x, y, width, height, smooth = false) {
    this.context.imageSmoothingEnabled = smooth;
    this.context.drawImage(image, x, y, width, height);
  }
}
