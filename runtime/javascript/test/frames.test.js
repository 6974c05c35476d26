import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";

import { messages, send } from "../runner/frames.js";

/** @param {PassThrough} stream */
async function all(stream) {
  const found = [];
  for await (const { head, bytes } of messages(stream)) found.push([head.do, [...bytes]]);
  return found;
}

test("messages arrive as they were sent, whatever the pieces", async () => {
  const stream = new PassThrough();
  const sent = [
    ["feed", [1, 2, 3]],
    ["run", []],
    ["fetch", [255]],
  ];
  const whole = new PassThrough();
  for (const [name, bytes] of sent) await send(whole, { do: name }, Uint8Array.from(/** @type {number[]} */ (bytes)));
  for (const byte of whole.read()) stream.write(Uint8Array.of(byte));
  stream.end();
  assert.deepEqual(await all(stream), sent);
});

test("a message that was cut off is none", async () => {
  const whole = new PassThrough();
  await send(whole, { do: "feed" }, Uint8Array.of(1, 2, 3));
  const bytes = whole.read();
  for (const end of [2, 10, bytes.length - 1]) {
    const stream = new PassThrough();
    stream.end(bytes.subarray(0, end));
    assert.deepEqual(await all(stream), []);
  }
});
