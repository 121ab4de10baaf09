import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { validate } from "../../src/cli/validate.ts";
import { findDataset, openShard } from "../../src/readers/open.ts";
import { fixture, kdata, masked, mnist } from "./run-kdata.ts";

let cwd: string;

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "kdata-cli-"));
});

afterEach(() => {
  rmSync(cwd, { recursive: true });
});

test("validate says of sound files that all records are ok", async () => {
  const { code, stdout } = await kdata(["validate", join(mnist, "*")]);
  expect([code, masked(stdout)]).toEqual([0, "checked 70,000 records in 4 files: 70,000 ok, 0 bad (N MiB/s)\n"]);
});

test("validate goes on behind a record whose data checksum does not match", async () => {
  const bytes = readFileSync(fixture("tfrecord/rows.tfrecord"));
  bytes[bytes.indexOf("x") + 10]! ^= 1;
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(join(cwd, "a.tfrecord"), bytes);
  cpSync(fixture("tfrecord/rows.tfrecord"), join(cwd, "b.tfrecord"));
  const { code, stdout, stderr } = await kdata(["validate", "*.tfrecord"], { cwd });
  expect(masked(stdout)).toBe(
    "a.tfrecord: record 0 at byte 12: the data checksum does not match\n" +
      "a.tfrecord: record 11 at byte 639: the data checksum does not match\n" +
      "checked 24 records in 2 files: 22 ok, 2 bad (N MiB/s)\n",
  );
  expect(code).toBe(4);
  expect(stderr).toBe("kdata validate: 1 input\nkdata validate: done 24 records 2 bad\n");
});

test("a length that does not match its checksum ends the shard, and validate says how much it did not check", async () => {
  const bytes = readFileSync(fixture("tfrecord/rows.tfrecord"));
  const first = await firstEndOf("tfrecord/rows.tfrecord");
  bytes[first]! ^= 1;
  writeFileSync(join(cwd, "a.tfrecord"), bytes);
  const { code, stdout } = await kdata(["validate", "a.tfrecord"], { cwd });
  expect(masked(stdout)).toBe(
    `a.tfrecord: record 1 at byte ${first}: the length checksum does not match\n` +
      `a.tfrecord: ${bytes.length - first} B from there on were not checked\n` +
      "checked 2 records in 1 file: 1 ok, 1 bad (N MiB/s)\n",
  );
  expect(code).toBe(4);
});

test("a file that ends early is one bad record", async () => {
  const bytes = readFileSync(fixture("tfrecord/rows.tfrecord"));
  writeFileSync(join(cwd, "a.tfrecord"), bytes.subarray(0, -20));
  const { stdout } = await kdata(["validate", "a.tfrecord"], { cwd });
  expect(stdout).toMatch(
    /^a\.tfrecord: record 11 at byte 664: truncated: the length says \d+ bytes, \d+ are left\nchecked 12 .*: 11 ok, 1 bad/,
  );
});

test("a bad header sum ends a tar shard, and the next shard is checked", async () => {
  const bytes = readFileSync(fixture("webdataset/writer.tar"));
  const first = await firstEndOf("webdataset/writer.tar");
  bytes[first]! ^= 1;
  writeFileSync(join(cwd, "a.tar"), bytes);
  cpSync(fixture("webdataset/ustar.tar"), join(cwd, "b.tar"));
  const report = await validate(join(cwd, "*.tar"));
  expect(report).toMatchObject({ files: 2, bad: 1, ok: report.records - 1 });
  expect(report.faults).toEqual([
    {
      source: join(cwd, "a.tar"),
      record: 0,
      byte: first,
      code: "checksum",
      reason: "the header checksum does not match",
      uncheckedBytes: bytes.length - first,
    },
  ]);
});

test("a bad row does not stop the check of an array", async () => {
  const bytes = readFileSync(fixture("npy/little-endian/all.bool.npy"));
  const rows = (await validate(fixture("npy/little-endian/all.bool.npy"))).ok;
  const dataStart = 10 + bytes.readUInt16LE(8);
  bytes[dataStart] = 7;
  bytes[bytes.length - 1] = 9;
  writeFileSync(join(cwd, "flags.npy"), bytes);
  const { faults, ok, bad } = await validate(join(cwd, "flags.npy"));
  expect([ok, bad]).toEqual([rows - 2, 2]);
  expect(faults.map(({ code, record, byte }) => [code, record, byte])).toEqual([
    ["format", 0, dataStart],
    ["format", rows - 1, bytes.length - 1],
  ]);
});

test("validate tells the first thousand bad records and counts the others", async () => {
  const sound = readFileSync(fixture("npy/little-endian/all.bool.npy"));
  const header = sound.subarray(0, 10 + sound.readUInt16LE(8)).toString("latin1");
  const shape = /\(\d+, 2, 2\)/.exec(header)![0];
  const rows = header.replace(`${shape},`, "(1234,),".padEnd(shape.length + 1));
  writeFileSync(join(cwd, "flags.npy"), Buffer.concat([Buffer.from(rows, "latin1"), Buffer.alloc(1234, 7)]));
  const { code, stdout } = await kdata(["validate", "flags.npy"], { cwd });
  const lines = stdout.trimEnd().split("\n");
  expect([code, lines.length, lines.at(-2)]).toEqual([4, 1002, "and 234 more"]);
  expect(lines.at(-1)).toMatch(/^checked 1,234 records in 1 file: 0 ok, 1,234 bad/);
});

test("a shard that cannot be opened is bad, and the next one is checked", async () => {
  writeFileSync(join(cwd, "y-000.npy"), readFileSync(fixture("npy/labels.npy")).subarray(0, -1));
  cpSync(fixture("npy/labels.npy"), join(cwd, "y-001.npy"));
  const { code, stdout } = await kdata(["validate", "y-000.npy", "y-001.npy", "--json"], { cwd });
  const report = JSON.parse(stdout) as Awaited<ReturnType<typeof validate>>;
  expect(code).toBe(4);
  expect(report).toMatchObject({ schema: "kdata.validate/1", files: 2, bad: 1, ok: report.records - 1 });
  expect(report.ok).toBeGreaterThan(0);
  expect(report.faults).toMatchObject([{ source: "y-000.npy", code: "truncated" }]);
});

test("files that are missing are exit code 3, standard input and unknown formats 2", async () => {
  expect((await kdata(["validate", "none.tar"], { cwd })).code).toBe(3);
  expect((await kdata(["validate", "-"], { cwd })).code).toBe(2);
  expect((await kdata(["validate", fixture("npy/labels.npy"), "--from", "npi"])).code).toBe(2);
});

test("an abort stops the check", async () => {
  const signal = AbortSignal.abort();
  await expect(validate(join(mnist, "*"), { signal })).rejects.toMatchObject({ code: "aborted" });
});

/** Where the first record of a fixture ends. */
async function firstEndOf(path: string): Promise<number> {
  const { format, shards } = await findDataset(fixture(path));
  const reader = openShard(format, shards[0]!);
  const { offsets, lengths } = reader.index()!;
  reader.close();
  return offsets[0]! + lengths[0]!;
}
