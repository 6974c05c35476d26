// While the camera runs, a later picture is shown by the tiles of an earlier one, and its components aren't turned over.

import assert from "node:assert/strict";
import { test } from "node:test";

import { CameraTiles } from "../page/camera_tiles.js";
import { tensorSource } from "../src/maps/overview.js";

const SIDE = 8;
const STYLE = { depth: "all", filter: "", reduce: "pca", aliases: true };
const OUTPUTS = ["a", "b"].map((name) => ({ name, label: "Conv", module_path: "", layout: "NCHW", averaged: null, tokens: null }));

/**
 * @param {number} shift of the photo's waves
 * @param {number} contrast of the photo
 */
function runOf(shift, contrast = 100) {
  const wave = (/** @type {number} */ channel) =>
    Array.from({ length: SIDE * SIDE }, (_, at) => Math.sin(at / 3 + shift) * (channel + 1));
  const data = Float32Array.from([0, 1, 2].flatMap(wave));
  const tensor = { dtype: /** @type {const} */ ("float32"), shape: [1, 3, SIDE, SIDE], data };
  const seen = { width: 2, height: 1, data: Uint8Array.of(0, 0, 0, contrast, contrast, contrast) };
  const source = tensorSource(new Map(OUTPUTS.map(({ name }) => [name, tensor])));
  return /** @type {any} */ ({ ...source, seen, artifact: { manifest: { outputs: OUTPUTS } }, topClass: async () => "" });
}

test("a component that comes out with the other sign is turned as the one before", async () => {
  const tiles = new CameraTiles();
  await tiles.pages(runOf(0), STYLE);
  const [kept] = tiles.kept?.pages.maps ?? [];
  const before = kept.values.slice();
  kept.values = kept.values.map((value) => -value);
  const { maps } = await tiles.pages(runOf(0), STYLE);
  assert.deepEqual([...maps[0].values], [...before].map((value) => -value));
  assert.deepEqual([...maps[1].values], [...before]);
});

test("hues that come out turned are turned back", async () => {
  const tiles = new CameraTiles();
  const style = { ...STYLE, reduce: "pca3" };
  const run = runOf(0);
  const maps = run.maps;
  run.maps = async (/** @type {any[]} */ outputs, /** @type {string} */ reduce) =>
    (await maps(outputs, reduce)).map((/** @type {any} */ map) => {
      const plane = Float64Array.from({ length: 2 * SIDE * SIDE }, (_, at) => Math.sin(at) * Math.cos(at / 7));
      return { ...map, hues: { plane, share: 1, count: 3 } };
    });
  await tiles.pages(run, style);
  const [kept] = tiles.kept?.pages.maps ?? [];
  const hues = /** @type {any} */ (kept.hues);
  const turned = hues.plane.map((/** @type {number} */ value, /** @type {number} */ at) =>
    at % 2 ? hues.plane[at - 1] : -hues.plane[at + 1],
  );
  kept.hues = { ...hues, plane: turned };
  const [map] = (await tiles.pages(run, style)).maps;
  map.hues?.plane.forEach((value, at) => assert.ok(Math.abs(value - turned[at]) < 1e-12));
  assert.notEqual(map.hues, null);
});

test("hues are there again after a picture without any", async () => {
  const tiles = new CameraTiles();
  const style = { ...STYLE, reduce: "pca3" };
  const hasHues = async (/** @type {any} */ run) => (await tiles.pages(run, style)).maps.map(({ hues }) => hues !== null);
  const covered = runOf(0);
  const maps = covered.maps;
  covered.maps = async (/** @type {any[]} */ outputs, /** @type {string} */ reduce) =>
    (await maps(outputs, reduce)).map((/** @type {any} */ map) => ({ ...map, hues: null, share: null }));
  assert.deepEqual(await hasHues(runOf(0)), [true, true]);
  assert.deepEqual(await hasHues(covered), [false, false]);
  assert.deepEqual(await hasHues(runOf(1)), [true, true]);
});

test("what is chosen by a picture without contrast is chosen again", async () => {
  const tiles = new CameraTiles();
  await tiles.pages(runOf(0, 5), STYLE);
  assert.equal(tiles.kept, null);
  await tiles.pages(runOf(0, 100), STYLE);
  assert.notEqual(tiles.kept, null);
  tiles.forget();
  assert.equal(tiles.kept, null);
});

test("another choice of what is shown is a choice of other tiles", async () => {
  const tiles = new CameraTiles();
  await tiles.pages(runOf(0), STYLE);
  const { maps } = await tiles.pages(runOf(1), { ...STYLE, filter: "b" });
  assert.deepEqual(maps.map(({ name }) => name), ["b"]);
});
