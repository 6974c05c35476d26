// What README.md shows for Node runs, and prints what it says.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { readSafetensors } from "layerprobe";
import { fromPython, skip } from "../testing/from_python.js";
import { codeBlocks } from "../testing/in_readme.js";

const PACKAGE = fileURLToPath(new URL("..", import.meta.url));

test("the blocks for Node run one after the other, in a folder with an artifact and a photo", { skip }, async (t) => {
  const place = await mkdtemp(path.join(tmpdir(), "readme-"));
  t.after(() => rm(place, { recursive: true }));
  await cp(path.join(fromPython, "cnn2"), path.join(place, "cnn2"), { recursive: true });
  await cp(path.join(fromPython, "photo.jpg"), path.join(place, "photo.jpg"));
  // As npm installs the package from a folder: by a link.
  await cp(path.join(PACKAGE, "package.json"), path.join(place, "package.json"));
  await symlink(path.join(PACKAGE, "node_modules"), path.join(place, "node_modules"));
  await symlink(path.join(PACKAGE, "src"), path.join(place, "src"));
  await writeFile(path.join(place, "readme.mjs"), (await codeBlocks("js")).join("\n"));
  const { stdout } = await promisify(execFile)(process.execPath, ["readme.mjs"], { cwd: place });
  const lines = stdout.trim().split("\n");
  assert.deepEqual([lines[0], lines[18]], ["cnn1 1 x 64 x 64 x 64 float32", "fc 1 x 6 float32"]);
  assert.ok(
    lines.slice(19, 20).every((line) => line === "equal to the bit"),
    stdout,
  );
  const verdict = lines.findIndex((line) => line.startsWith("All pass."));
  assert.match(lines[verdict + 1], /^The mean shows the photo.s outlines up to stage 1 \(edges correlate: /);
  assert.match(lines[verdict + 2], /^relu ReLU · 64 ch 16384$/);
  const { tensors, metadata } = readSafetensors(await readFile(path.join(place, "node.safetensors")));
  assert.deepEqual([tensors.size, metadata.get("device")], [20, "a laptop"]);
});
