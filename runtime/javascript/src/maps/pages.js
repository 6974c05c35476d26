// What all pages of a picture have: the title above, the legend and sentences below; as `runtime/maps/pages.py`.

import { roundHalfEven } from "../tensor.js";
import { notFiniteColour } from "./colour_maps.js";
import { rangeText } from "./colour_scales.js";
import { hueKey, tableOfScale } from "./component_colours.js";
import { INK, SOFT_INK, barOf, drawFitted } from "./tile.js";
import { MARGIN } from "./tile_places.js";

/** @typedef {import("./picture.js").Picture} Picture */
/** @typedef {import("./page_layout.js").GridLayout} GridLayout */

const SWATCH = 12;
/** Between the parts of a title. */
const PART = " · ";
/** Between two scales of a legend. */
const NEXT = "  ";

/**
 * Add the title, of which the first part, the model, stands out.
 * @param {Picture} picture
 * @param {GridLayout} layout
 * @param {string} title
 */
export function drawTitle(picture, layout, title) {
  const width = picture.width - 2 * MARGIN;
  const [x, baseline] = [MARGIN, MARGIN + layout.prose];
  const [first, ...others] = title.split(PART);
  const rest = others.map((each) => PART + each).join("");
  for (let size = layout.prose + 5; size > Math.max(Math.trunc(layout.prose / 2), 9); size--) {
    const bold = picture.measure(first, size, true);
    if (bold + picture.measure(rest, size - 2, false) > width) continue;
    picture.addText(x, baseline, first, size, INK, true);
    if (rest) picture.addText(x + roundHalfEven(bold), baseline, rest, size - 2, SOFT_INK);
    return;
  }
  drawFitted(picture, [x, baseline], title, layout.prose, width, INK, true);
}

/**
 * Add the caption below the title, the legend, as far as the tiles don't have one each, and the sentences below it.
 * @param {Picture} picture
 * @param {GridLayout} layout has the sentences
 * @param {import("./colour_scales.js").ColourScale | null} shared what all tiles share
 * @param {string[]} notFinite the colour maps of those with values that aren't finite
 * @param {boolean} isHued whether there are tiles with hues
 */
export function drawFooter(picture, layout, shared, notFinite, isHued) {
  const above = [
    ...layout.lead.map((line) => ({ line, size: layout.prose, ink: INK })),
    ...layout.caption.map((line) => ({ line, size: layout.prose - 1, ink: layout.lead.length ? SOFT_INK : INK })),
  ];
  above.forEach(({ line, size, ink }, index) =>
    picture.addText(MARGIN, MARGIN + layout.prose + 8 + (index + 1) * layout.proseLine, line, size, ink),
  );
  const size = layout.notesText - 1;
  const legend = legendOf(shared, notFinite, layout.notesLine - 2, isHued);
  const baseline = layout.notesTop + layout.notesText;
  let x = MARGIN;
  for (const part of legend) {
    if (typeof part === "string") {
      picture.addText(x, baseline, part, size, SOFT_INK);
      x += roundHalfEven(picture.measure(part, size, false)) + 8;
    } else {
      picture.addPixels(x, baseline - part.height + 1, part.width, part.height, part.colours);
      x += part.width + 8;
    }
  }
  const first = legend.length ? 1 : 0;
  layout.notes.forEach((note, index) =>
    picture.addText(MARGIN, baseline + (index + first) * layout.notesLine, note, size, SOFT_INK),
  );
}

/** @typedef {{ colours: import("./picture.js").Colours, width: number, height: number }} Patch between a legend's words */

/**
 * @param {import("./picture.js").Colours} colours
 * @param {number} [width]
 * @param {number} [height]
 * @returns {Patch}
 */
const patch = (colours, width = SWATCH, height = SWATCH) => ({ colours, width, height });

/**
 * What explains colours: the bar of a scale, what isn't finite, hues, as far as there are any.
 * @param {import("./colour_scales.js").ColourScale | null} shared
 * @param {string[]} notFinite
 * @param {number} line how high a patch may be
 * @param {boolean} isHued
 * @returns {(string | Patch)[]}
 */
function legendOf(shared, notFinite, line, isHued) {
  const [low, high] = shared ? rangeText(shared) : ["", ""];
  const scale = shared ? [low, patch(barOf(shared), 12 * SWATCH), high] : [];
  const marks = [...new Set(notFinite)].sort().map((cmap) => {
    const data = Uint8ClampedArray.from([...notFiniteColour(tableOfScale(cmap)), 255]);
    return patch({ width: 1, height: 1, data });
  });
  const bad = marks.length ? [...marks, "not finite"] : [];
  const key = isHued ? [patch(hueKey(), line, line), "hue: PC2 and PC3"] : [];
  return [scale, bad, key].filter((part) => part.length).flatMap((part, index) => (index ? [NEXT, ...part] : part));
}
