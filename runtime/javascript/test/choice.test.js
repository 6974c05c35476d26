// What is chosen for the page is handed over to it, and can be chosen again.

import assert from "node:assert/strict";
import { test } from "node:test";

import { chosenPages } from "../page/choice.js";
import { tensorSource } from "../src/maps/overview.js";

const SIDE = 8;
const OUTPUTS = [{ name: "a", label: "Conv", module_path: "", layout: "NCHW", averaged: null, tokens: null }];

for (const reduce of ["mean", "pca", "pca3"])
  test(`maps by ${reduce} that were handed to the page are there when they are chosen again`, async () => {
    const data = Float32Array.from({ length: 4 * SIDE * SIDE }, (_, at) => Math.sin(at / 3 + at ** 2 / 50));
    const source = tensorSource(new Map([["a", { dtype: "float32", shape: [1, 4, SIDE, SIDE], data }]]));
    const known = await source.maps(OUTPUTS, reduce);
    const run = /** @type {any} */ ({ maps: async () => known, artifact: { manifest: { outputs: OUTPUTS } } });
    const style = /** @type {any} */ ({ depth: "all", filter: "", reduce, aliases: true });
    const first = await chosenPages(run, style);
    const before = first.maps.map(({ values, hues }) => [[...values], hues && [...hues.plane]]);
    const buffers = first.maps.flatMap(({ values, hues }) => [values.buffer, ...(hues ? [hues.plane.buffer] : [])]);
    structuredClone(first.maps, { transfer: /** @type {ArrayBuffer[]} */ (buffers) });
    const { maps } = await chosenPages(run, style);
    assert.deepEqual(
      maps.map(({ values, hues }) => [[...values], hues && [...hues.plane]]),
      before,
    );
    assert.equal(maps[0].hues !== null, reduce === "pca3");
  });
