// What the JavaScript maps make of given tensors, for test_javascript_maps.py: JSON in, JSON out.
import { readFileSync } from "node:fs";
import { channelGrid } from "../../../runtime/javascript/src/maps/channel_grid.js";
import { channelsOf, hasMap } from "../../../runtime/javascript/src/maps/channels.js";
import { colourMapImage, colourTable } from "../../../runtime/javascript/src/maps/colour_maps.js";
import { overviewScales, rangeText, scalesOf } from "../../../runtime/javascript/src/maps/colour_scales.js";
import { LEFT_OUT, detailOf, worthDrawing } from "../../../runtime/javascript/src/maps/feature_maps.js";
import { leftOutNotes } from "../../../runtime/javascript/src/maps/footer.js";
import { readMap } from "../../../runtime/javascript/src/maps/map_reading.js";
import { general } from "../../../runtime/javascript/src/number_words.js";
import { layOut } from "../../../runtime/javascript/src/maps/page_layout.js";
import { inPlace } from "../../../runtime/javascript/src/maps/picture.js";
import { REDUCTIONS } from "../../../runtime/javascript/src/maps/reductions.js";
import { pageRanges } from "../../../runtime/javascript/src/maps/sections.js";
import { CHANNEL_PAGE, OUTPUT_PAGE } from "../../../runtime/javascript/src/maps/tile_places.js";
import { atDepth } from "../../../runtime/javascript/src/selection.js";
import { DTYPES } from "../../../runtime/javascript/src/tensor.js";

const given = JSON.parse(readFileSync(process.argv[2], "utf8"));

function tensorOf({ dtype, shape, bytes }) {
  const raw = Uint8Array.from(Buffer.from(bytes, "base64"));
  return { dtype, shape, data: new DTYPES[dtype](raw.buffer) };
}

const base64 = (array) => Buffer.from(array.buffer, array.byteOffset, array.byteLength).toString("base64");

const array = (text) => new Float64Array(Uint8Array.from(Buffer.from(text, "base64")).buffer);

const tensors = new Map(Object.entries(given.tensors).map(([name, each]) => [name, tensorOf(each)]));
const maps = given.outputs.map((output) => readMap(tensors.get(output.name), output, "auto", given.noise[output.name]));

const reduced = {};
for (const output of given.outputs) {
  if (output.averaged || !hasMap(output)) continue;
  const channels = channelsOf(tensors.get(output.name), output);
  reduced[output.name] = Object.fromEntries(Object.entries(REDUCTIONS).map(([name, row]) => [name, base64(row.reduce(channels))]));
}

const channels = {};
for (const output of given.outputs) {
  if (output.averaged || !hasMap(output)) continue;
  channels[output.name] = channelGrid(channelsOf(tensors.get(output.name), output), {});
}

const grids = given.styles.map((style) => {
  const found = worthDrawing(maps, style);
  const scales = scalesOf(found.maps.map((map) => map.values), style);
  return {
    names: found.maps.map((map) => map.name),
    details: found.maps.map(detailOf),
    notes: leftOutNotes(found.leftOut),
    ranges: [false, true].map((short) => scales.map((scale) => (scale ? rangeText(scale, { short }) : null))),
    colours: found.maps.map((map, index) => {
      const scale = scales[index];
      const rgba = colourMapImage(map.values, colourTable(scale?.cmap ?? "viridis"), scale ? [scale.low, scale.high] : null);
      return base64(rgba);
    }),
  };
});

const measure = (text, size) => text.length * size * 0.6;
process.stdout.write(
  JSON.stringify({
    reduced,
    channels,
    grids,
    numbers: given.numbers.map(([value, digits]) => general(value, digits)),
    tables: Object.fromEntries(given.colourMaps.map((name) => [name, base64(colourTable(name))])),
    words: [Object.fromEntries(Object.entries(REDUCTIONS).map(([name, row]) => [name, row.words])), LEFT_OUT],
    layouts: given.shapes.map(({ shapes, channels }) => {
      const names = shapes.map((_, index) => String(index));
      const { side, columns, rows, mapHeight, text, width, height } = layOut(shapes, {
        kind: channels ? CHANNEL_PAGE : OUTPUT_PAGE,
        names,
        notes: ["One."],
        measure,
        details: channels ? 0 : 2,
        hasTitle: true,
        sections: !channels,
      });
      return { side, columns, rows, mapHeight, text, size: [width, height] };
    }),
    placed: given.placed.map(({ bytes, ...colours }, index) => {
      const [width, height] = given.places[index];
      const data = new Uint8ClampedArray(Buffer.from(bytes, "base64"));
      return base64(inPlace({ kind: "pixels", x: 0, y: 0, width, height, colours: { ...colours, data } }).data);
    }),
    overviews: given.overviews.map(({ style, maps }) => overviewScales(maps.map((map) => ({ ...map, values: array(map.values) })), style)),
    pages: given.paths.map((paths) => pageRanges(paths, 48)),
    depths: given.paths.map((paths) => [1, 2, 3].map((depth) => atDepth(paths.map((path, index) => ({ module_path: path, index })), depth).map(({ index }) => index))),
  }),
);
