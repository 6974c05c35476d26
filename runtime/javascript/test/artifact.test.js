// Opening an artifact from a folder, an address or files: what was altered, or can't be true, is refused.

import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, readdir, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";

import { ArtifactError, atUrl, openArtifact } from "layerprobe";
import { folder } from "layerprobe/node_folder";
import { parseManifest } from "../src/manifest.js";
import { weightFiles } from "../src/onnx_file.js";
import { served } from "../testing/served.js";
import { fromPython, skip } from "../testing/from_python.js";

const cnn2 = path.join(fromPython, "cnn2");

/**
 * A copy of the artifact, which the test may alter.
 *
 * @param {import("node:test").TestContext} test
 * @returns {Promise<string>}
 */
async function copied(test) {
  const target = await mkdtemp(path.join(tmpdir(), "artifact-"));
  test.after(() => rm(target, { recursive: true }));
  await cp(cnn2, target, { recursive: true });
  return target;
}

/**
 * @param {string} target
 * @param {(manifest: any) => void} change
 */
async function alterManifest(target, change) {
  const manifest = JSON.parse(await readFile(path.join(target, "manifest.json"), "utf8"));
  change(manifest);
  await writeFile(path.join(target, "manifest.json"), JSON.stringify(manifest));
}

/**
 * @param {RegExp} said
 * @returns {(error: unknown) => boolean}
 */
function refusal(said) {
  return (error) => error instanceof ArtifactError && said.test(error.message) && error.message.split("\n").length <= 2;
}

test("a folder, an address and files give the same artifact", { skip }, async (t) => {
  const { address, close } = await served({ cnn2 });
  t.after(close);
  const url = `${address}/cnn2`;
  const files = new Map();
  for (const name of await readdir(cnn2)) files.set(name, new Blob([await readFile(path.join(cnn2, name))]));
  const picked = [...files].map(([name, blob]) => Object.assign(blob, { name, webkitRelativePath: `cnn2/${name}` }));

  const expected = await openArtifact(folder(cnn2));
  for (const place of [url, `${url}/`, atUrl(url), files, /** @type {any} */ (picked)]) {
    const artifact = await openArtifact(place);
    assert.deepEqual(artifact.manifest, expected.manifest);
    assert.deepEqual(await artifact.bytes("model.onnx"), await expected.bytes("model.onnx"));
  }
  assert.ok(!expected.isAveraged && (await expected.onnx()).weights.size === 0);
  await assert.rejects(openArtifact(`${url}/missing/`), refusal(/cnn2\/missing has no manifest.json/));
  await assert.rejects(expected.bytes("x"), refusal(/has no x. It has: .*model.onnx/));
  const unreachable = () => Promise.reject(new TypeError("fetch failed"));
  await assert.rejects(
    openArtifact(atUrl(url, { fetch: unreachable })),
    refusal(/cnn2\/manifest.json can't be fetched: fetch failed/),
  );
  const refused = () => Promise.resolve(new Response(null, { status: 403 }));
  await assert.rejects(openArtifact(atUrl(url, { fetch: refused })), refusal(/the server answered 403/));
});

test("what is no artifact is said to be none", async (t) => {
  const empty = await mkdtemp(path.join(tmpdir(), "empty-"));
  t.after(() => rm(empty, { recursive: true }));
  await assert.rejects(openArtifact(folder(empty)), refusal(/has no manifest.json: it is not an artifact/));
  await assert.rejects(openArtifact(folder(path.join(empty, "none"))), refusal(/it is not an artifact/));
  await assert.rejects(openArtifact(new Map()), refusal(/the files has no manifest.json/));
});

test("an altered or missing file is refused", { skip }, async (t) => {
  const target = await copied(t);
  const model = await readFile(path.join(target, "model.onnx"));
  model[model.length >> 1] ^= 1;
  await writeFile(path.join(target, "model.onnx"), model);
  await rm(path.join(target, "reference.safetensors"));
  const artifact = await openArtifact(folder(target));
  await assert.rejects(artifact.onnx(), refusal(/model.onnx was altered after the export/));
  await assert.rejects(artifact.bytes("reference.safetensors"), refusal(/is missing/));
  await assert.rejects(artifact.bytes("constructor"), refusal(/has no constructor/));
});

test("a manifest that differs from its copy in the model file is refused, with the field", { skip }, async (t) => {
  const target = await copied(t);
  await alterManifest(target, (manifest) => (manifest.preprocessing.mean[0] = 0.9));
  const artifact = await openArtifact(folder(target));
  await assert.rejects(
    artifact.onnx(),
    refusal(/its preprocessing.mean.0 is 0.9, but 0.485 in the copy inside model.onnx/),
  );
});

test("names that lead out of the folder, later versions and endless documents are refused", { skip }, async (t) => {
  const target = await copied(t);
  const opened = () => openArtifact(folder(target));
  await alterManifest(target, (manifest) => (manifest.files["../secret"] = "0".repeat(64)));
  await assert.rejects(opened(), refusal(/files: it is not the name of a file in the folder/));
  await alterManifest(target, (manifest) => (manifest.format_version = 2));
  await assert.rejects(opened(), refusal(/has format version 2; this layerprobe reads 1/));
  await writeFile(path.join(target, "manifest.json"), new Uint8Array(2 ** 24 + 1).fill(0x20));
  await assert.rejects(opened(), refusal(/has more than 16,777,216 bytes/));
});

test(
  "what is no regular file is refused, not read for ever",
  { skip: process.platform === "win32" && "needs /dev/zero" },
  async (t) => {
    const target = await mkdtemp(path.join(tmpdir(), "endless-"));
    t.after(() => rm(target, { recursive: true }));
    await symlink("/dev/zero", path.join(target, "manifest.json"));
    await assert.rejects(openArtifact(folder(target)), refusal(/it is not a regular file/));
  },
);

test("weights that are in files the manifest doesn't list, or constants that are in files, are refused", () => {
  const text = (/** @type {string} */ value) => [...new TextEncoder().encode(value)];
  const field = (/** @type {number} */ number, /** @type {number[]} */ content) => [
    (number << 3) | 2,
    content.length,
    ...content,
  ];
  const outside = [...field(13, [...field(1, text("location")), ...field(2, text("../secret"))]), (14 << 3) | 0, 1];
  const model = (/** @type {number[]} */ graph) => Uint8Array.from(field(7, graph));
  assert.deepEqual(weightFiles(model(field(5, outside))), ["../secret"]);
  assert.deepEqual(weightFiles(model(field(5, outside.slice(0, -2)))), []);
  // As protobuf reads an enum: by the lower 32 bits, and what isn't one of its values changes nothing.
  const [once, other, wordless] = [[0x81, 0x80, 0x80, 0x80, 0x10], [(14 << 3) | 0, 7], field(14, [])];
  for (const each of [[...outside.slice(0, -1), ...once], [...outside, ...other], [...outside, ...wordless]])
    assert.deepEqual(weightFiles(model(field(5, each))), ["../secret"]);
  assert.deepEqual(weightFiles(model(field(5, [...outside, (14 << 3) | 0, 0]))), []);
  assert.throws(
    () => weightFiles(model(field(1, field(5, field(5, outside))))),
    /a constant of a node is said to be in a file/,
  );
  assert.throws(() => weightFiles(Uint8Array.of(0x3a, 100, 1)), /truncated/);
  assert.throws(() => weightFiles(new Uint8Array(20).fill(0xff)), /not a protobuf message/);
});

test("whatever value a field has, a manifest that Python refuses is refused here", { skip }, async () => {
  const told = JSON.parse(await readFile(path.join(fromPython, "manifests.json"), "utf8"));
  let refused = 0;
  for (const { text, names } of told) {
    /** @type {string[] | null} */
    let found = null;
    try {
      found = parseManifest(new TextEncoder().encode(text), "manifest.json").outputs.map((output) => output.name);
    } catch (error) {
      assert.ok(refusal(/manifest.json/)(error), String(error));
      refused += 1;
    }
    assert.deepEqual(found, names, text.slice(0, 3000));
  }
  assert.ok(refused > 500 && refused < told.length);
});
