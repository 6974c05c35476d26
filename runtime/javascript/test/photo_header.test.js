// What is said of a file that is no photo, and how many pixels one has before it is decoded.

import assert from "node:assert/strict";
import { test } from "node:test";

import sharp from "sharp";

import { refuseByHeader, sizeOfPhoto, whyNotDecoded } from "../src/photo_header.js";

const picture = () => sharp({ create: { width: 301, height: 77, channels: 4, background: "#12345678" } });
const bytes = (/** @type {string} */ text) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/** @type {Record<string, (made: import("sharp").Sharp) => import("sharp").Sharp>} */
const FORMATS = {
  PNG: (made) => made.png(),
  JPEG: (made) => made.jpeg(),
  "progressive JPEG with EXIF": (made) => made.jpeg({ progressive: true }).withExif({ IFD0: { Copyright: "x".repeat(999) } }),
  GIF: (made) => made.gif(),
  WebP: (made) => made.removeAlpha().webp(),
  "WebP with alpha": (made) => made.webp(),
  "lossless WebP": (made) => made.webp({ lossless: true }),
};
for (const [name, encode] of Object.entries(FORMATS)) {
  test(`the size of a ${name} is read before it is decoded`, async () => {
    assert.deepEqual(sizeOfPhoto(await encode(picture()).toBuffer()), [301, 77]);
  });
}

test("a file that ends in its header has no size", async () => {
  for (const encode of Object.values(FORMATS)) {
    const whole = await encode(picture()).toBuffer();
    for (let length = 0; length < 10; length++) assert.equal(sizeOfPhoto(whole.subarray(0, length)), null);
  }
});

test("a small file that becomes gigabytes is refused, and an empty one", async () => {
  const large = await picture().png().toBuffer();
  large.writeUInt32BE(30_000, 16);
  large.writeUInt32BE(30_000, 20);
  assert.throws(() => refuseByHeader(large, "bomb.png"), /^ImageError: bomb\.png has 30000 x 30000 = 900,000,000 pixels; .*\n/);
  assert.throws(() => refuseByHeader(new Uint8Array(0), "a.jpg"), /a\.jpg is empty/);
  refuseByHeader(await picture().png().toBuffer(), "a.png");
});

test("a file that a browser can't decode is called what it is", () => {
  const said = (/** @type {string} */ text) => whyNotDecoded(bytes(text), "a").split("\n")[0];
  assert.match(said("\0\0\0\x18ftypheic\0\0\0\0mif1heic"), /^a is HEIC, /);
  assert.match(said("\0\0\0\x18ftypmp42\0\0\0\0"), /^a is a film, /);
  assert.match(said("II*\0\x08\0\0\0"), /^a is TIFF, /);
  assert.match(said("hello, this is no photo"), /^a is text, /);
  assert.match(said("<!DOCTYPE html><title>404</title>"), /^a is a web page, /);
  assert.equal(said("\x89PNG\r\n\x1a\n"), "a is damaged, or no photo.");
});
