// "layerprobe/maps": tensors -> maps, their colours, and how a page of them is laid out, as `layerprobe grid` draws them.
//
// Tensor -> readMap -> gridPages or overviewPages -> pagesOf -> pictureOf; a map's colours: scalesOf -> colourMapImage.
//
// channels.js: N C H W, N H W C or tokens -> C H W
// reductions.js, principal_components.js, eigenpairs.js: the ways to one map, a table; what auto tries
// map_reading.js: a tensor -> its map, its channels
// feature_maps.js: FeatureMap: what one tile shows; what is left out
// colour_scales.js, colour_maps.js, colour_tables.js: which value gets which colour
// sections.js, stages.js: neighbours of one resolution; where a page may end
// blocks.js, likeness.js, thinning.js, parts.js, takeaway.js: what an overview draws, and says first
// feature_grid.js, overview.js: the maps of a page, and what is said of them
// footer.js, tile_texts.js: the sentences below a grid, the lines above a tile
// tile_places.js, page_layout.js, picture_text.js: columns, the size of tiles, lines of text
// map_page.js, pages.js, tile.js, picture.js: a page as a list of pixels, texts and boxes
// channel_grid.js: every channel of one output; photo_overlay.js: a map over the photo

export { channelsOf, hasMap } from "./channels.js";
export { AUTO, AUTO_ORDER, REDUCTIONS } from "./reductions.js";
export { readMap, readParts } from "./map_reading.js";
export { LEFT_OUT, detailOf, remarksOf, worthDrawing } from "./feature_maps.js";
export { channelGrid, channelOf } from "./channel_grid.js";
export { DIVERGING, SEQUENTIAL, overviewScales, ownScale, rangeText, scalesOf } from "./colour_scales.js";
export { colourMapImage, colourMapNames, colourTable, notFiniteColour, valueRange } from "./colour_maps.js";
export { mapOverPhoto } from "./photo_overlay.js";
export { pageRanges, sectionsOf } from "./sections.js";
export { gridPages } from "./feature_grid.js";
export { overviewPages, tensorSource } from "./overview.js";
export { pagesOf, pictureOf, scalesOfPages } from "./map_page.js";
export { coloursOf } from "./tile.js";
export { coloursOfPhoto, inPlace } from "./picture.js";
export { CHANNEL_PAGE, MARGIN, OUTPUT_PAGE, OVERVIEW_PAGE, fit } from "./tile_places.js";
export { cornerOf, layOut } from "./page_layout.js";
export { breakName, shortenFront, wrap } from "./picture_text.js";
