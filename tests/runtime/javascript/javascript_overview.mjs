// What JavaScript draws of given runs, for test_javascript_overview.py: JSON in, JSON out.
import { readFileSync } from "node:fs";
import { rangeText } from "../../../runtime/javascript/src/maps/colour_scales.js";
import { gridPages } from "../../../runtime/javascript/src/maps/feature_grid.js";
import { pagesOf, pictureOf, scalesOfPages } from "../../../runtime/javascript/src/maps/map_page.js";
import { overviewPages, tensorSource } from "../../../runtime/javascript/src/maps/overview.js";
import { besideOf } from "../../../runtime/javascript/src/maps/sections.js";
import { readSafetensors } from "../../../runtime/javascript/src/safetensors.js";

const given = JSON.parse(readFileSync(process.argv[2], "utf8"));

async function pages(tensors, outputs, seen, name, style) {
  const from = tensorSource(tensors);
  if (name.startsWith("all")) return gridPages(await from.maps(outputs, style.reduce ?? "auto"), outputs, style);
  return overviewPages(from, outputs, style, seen);
}

// Letters of one width, as in the test.
const measure = (text, size, bold) => text.length * size * (bold ? 0.66 : 0.6);

const mean = ({ data }) =>
  [0, 1, 2].map((colour) => data.reduce((sum, value, at) => (at % 4 === colour ? sum + value : sum), 0) / (data.length / 4));

const partOf = (part) => {
  if (part.kind === "text") return [part.kind, part.x, part.y, part.text, part.size, part.ink, part.bold];
  const place = [part.kind, part.x, part.y, part.width, part.height];
  return part.kind === "box" ? [...place, part.ink, part.filled] : [...place, mean(part.colours)];
};

const hex = (values) => Buffer.from(values.buffer).toString("hex");
const drawn = (pages, photo) =>
  pagesOf(pages, undefined, photo !== null).map((page) => {
    const picture = pictureOf(pages, page, { title: "net · a photo", photo, measure });
    return { size: [picture.width, picture.height], parts: picture.parts.map(partOf) };
  });

const described = (pages, photo) => ({
  ...pages,
  maps: pages.maps.map((map) => ({ ...map, values: hex(map.values), hues: map.hues && hex(map.hues.plane) })),
  scales: scalesOfPages(pages),
  ranges: scalesOfPages(pages).map((scale) => scale && rangeText(scale, { short: pages.brief, marks: !pages.brief })),
  sections: pagesOf(pages, undefined, photo !== null).map(({ sections }) => sections.map((section) => ({ ...section, beside: besideOf(section) }))),
  pictures: drawn(pages, photo),
});

const zeros = (tensors) =>
  new Map([...tensors].map(([name, each]) => [name, { ...each, data: new each.data.constructor(each.data.length) }]));

const made = {};
for (const [model, { outputs, tensors: file, photo, ...rest }] of Object.entries(given.models)) {
  const seen = { ...rest.seen, data: Uint8Array.from(rest.seen.data) };
  const { tensors } = readSafetensors(readFileSync(file));
  made[model] = {};
  for (const [, name] of given.cases.filter(([its]) => its === model)) {
    const shown = name === "without a photo" ? null : { ...photo, seen };
    made[model][name] = described(await pages(tensors, outputs, shown?.seen ?? null, name, given.styles[name]), shown);
  }
  made[model]["of zeros"] = await pages(zeros(tensors), outputs, seen, "overview", {}).catch(({ message }) => message);
}
process.stdout.write(JSON.stringify(made));
