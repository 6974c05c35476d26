// What a map looks like large: over the photo, which is grey, it has colours.

import assert from "node:assert/strict";
import { test } from "node:test";

import { scaleOverPhoto } from "../page/large_view.js";
import { coloursOf } from "../src/maps/tile.js";

test("three components over the photo have colours, as one has", () => {
  const hues = { plane: new Float64Array(8), share: 1, count: 3 };
  const map = { width: 2, height: 2, values: Float64Array.of(0, 1, 2, 3), hues };
  const seen = { width: 2, height: 2, data: new Uint8Array(12).fill(90) };
  const scale = { low: 0, high: 3, lowest: 0, highest: 3, cmap: "brightness and hue" };
  const { data } = coloursOf(map, scaleOverPhoto(scale), seen);
  const spread = [0, 1, 2, 3].map((at) => Math.max(...data.slice(4 * at, 4 * at + 3)) - Math.min(...data.slice(4 * at, 4 * at + 3)));
  assert.ok(Math.min(...spread) > 20, String(spread));
  assert.deepEqual(scaleOverPhoto({ ...scale, cmap: "magma" }), { ...scale, cmap: "magma" });
});
