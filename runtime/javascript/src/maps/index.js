// "layerprobe/maps": tensors -> maps, their colours, and how a page of them is laid out, as `layerprobe grid` draws them.
//
// Tensor -> readMap -> worthDrawing -> scalesOf -> colourMapImage; the sentences below a grid are in footer.js.

export { channelsOf, hasMap } from "./channels.js";
export { AUTO, AUTO_ORDER, REDUCTIONS } from "./reductions.js";
export { LEFT_OUT, readMap, worthDrawing } from "./feature_maps.js";
export { channelGrid, channelOf } from "./channel_grid.js";
export { DIVERGING, SEQUENTIAL, overviewScales, ownScale, rangeText, scalesOf } from "./colour_scales.js";
export { colourMapImage, colourMapNames, colourTable, notFiniteColour, valueRange } from "./colour_maps.js";
export { mapOverPhoto } from "./photo_overlay.js";
export { atDepth, deepestModule, pageRanges, sectionsOf } from "./sections.js";
export {
  CHANNEL_PAGE,
  MARGIN,
  OUTPUT_PAGE,
  breakName,
  cornerOf,
  fit,
  layOut,
  shortenFront,
  wrap,
} from "./page_layout.js";
export { explained, leftOutNotes, markedDetail, photoNotes, scaleNotes, tokenNotes, usualReduction } from "./footer.js";
