import { spawnSync } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { fixture, kdata, main, mnist } from "./run-kdata.ts";

const cwd = fixture("tfrecord");

test("inspect shows the shard and its features", async () => {
  expect(await kdata(["inspect", "rows.tfrecord"], { cwd })).toEqual({
    code: 0,
    stderr: "",
    stdout: [
      "rows.tfrecord   TFRecord (tf.train.Example), uncompressed, 684 B, 12 records",
      "  feature  kind     shape/len  dtype        seen  example",
      "  x        float32  4          -2.71..2.12  100%  [0.34558418, 0.82161814, 0.33043706, -1.3031572]",
      "  y        int64    1          0..2         100%  0",
      "",
    ].join("\n"),
  });
});

test("inspect says when it did not look at every record", async () => {
  const { stdout } = await kdata(["inspect", join(mnist, "t10k-*")]);
  expect(stdout).toBe(
    `${mnist}/t10k   MNIST idx, uncompressed, 7.5 MiB, 10,000 records (looked at the first 1,000)\n` +
      "  feature  kind   shape/len  dtype   seen  example\n" +
      "  image    uint8  28×28      0..255  100%  [0, 0, 0, 0, …]\n" +
      "  label    uint8  scalar     0..9    100%  7\n",
  );
  expect((await kdata(["inspect", join(mnist, "t10k-*"), "-n", "10000"])).stdout).toMatch(/, 10,000 records$/m);
});

test("head prints samples for people on request", async () => {
  const { stdout } = await kdata(["head", "-n", "2", "rows.tfrecord", "--format", "human"], { cwd });
  expect(stdout).toBe(
    "rows/0\n  x  [0.34558418, 0.82161814, 0.33043706, -1.3031572]\n  y  0\n" +
      "rows/1\n  x  [0.9053559, 0.44637457, -0.5369532, 0.5811181]\n  y  1\n",
  );
});

test("head -n stops in the middle of a shard and goes on in the next", async () => {
  const { stdout } = await kdata(["head", "-n", "14", "rows.tfrecord", "kinds.tfrecord"], { cwd });
  const keys = stdout
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { __key__: string }).__key__);
  expect(keys.slice(10)).toEqual(["rows/10", "rows/11", "kinds/0", "kinds/1"]);
});

test("head prints one JSON object a line, also with --json", async () => {
  const { stdout } = await kdata(["head", "-n", "1", "rows.tfrecord", "--json"], { cwd });
  expect(stdout).toMatch(/^\{"__key__":"rows\/0","x":\[.*\],"y":\[0\]\}\n$/);
  expect((await kdata(["head", "-n", "1", "rows.tfrecord"], { cwd })).stdout).toBe(stdout);
});

test("a reader that has seen enough ends head quietly with exit code 0", async () => {
  const { code, stderr } = await kdata(["head", "-n", "10000", join(mnist, "t10k-*")], {
    during(child) {
      child.stdin?.end();
      child.stdout?.once("data", () => child.stdout?.destroy());
    },
  });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
});

test.each(["head", "inspect"])("%s reads standard input", async (verb) => {
  const { code, stdout } = await kdata([verb, "-", "--json"], {
    input: readFileSync(fixture("tfrecord/rows.tfrecord")),
  });
  expect(code).toBe(0);
  expect(stdout).toContain(verb === "head" ? '"__key__":"-/0"' : '"records": 12');
});

test("damage that is reached is exit code 4; damage further on is not head's business", async () => {
  const folder = mkdtempSync(join(tmpdir(), "kdata-cli-"));
  try {
    const bytes = readFileSync(fixture("tfrecord/rows.tfrecord"));
    bytes[300] = (bytes[300] ?? 0) ^ 4;
    writeFileSync(join(folder, "rows.tfrecord"), bytes);
    expect((await kdata(["head", "-n", "2", "rows.tfrecord"], { cwd: folder })).code).toBe(0);
    for (const verb of ["head", "inspect"]) {
      const { code, stderr } = await kdata([verb, "rows.tfrecord"], { cwd: folder });
      expect(code).toBe(4);
      expect(stderr).toMatch(/^kdata: error\[checksum\]: .*\(rows\.tfrecord, record 5, byte \d+\)\n/);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test.runIf(existsSync("/dev/full"))("standard output that cannot be written is exit code 1", () => {
  const full = openSync("/dev/full", "w");
  const { status, stderr } = spawnSync(process.execPath, [main, "head", "rows.tfrecord"], {
    cwd,
    encoding: "utf8",
    stdio: ["ignore", full, "pipe"],
  });
  closeSync(full);
  expect(status).toBe(1);
  expect(stderr).toMatch(/^kdata: error\[output\]: Cannot write standard output: ENOSPC.*\n$/);
});
