import {
  appendFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, beforeEach, expect, test } from "vitest";
import { indexShards } from "../../src/cli/make-index.ts";
import { validate } from "../../src/cli/validate.ts";
import { convert } from "../../src/convert/index.ts";
import { loader } from "../../src/loaders/index.ts";
import { findDataset, openShard } from "../../src/readers/open.ts";
import { select } from "../../src/transforms/index.ts";
import { describeSample } from "../readers/expected.ts";
import { errorOf } from "../readers/shards.ts";
import { fixture, kdata, masked } from "./run-kdata.ts";

const then = new Date("2001-02-03");
let cwd: string;

beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), "kdata-cli-"));
  for (const name of ["webdataset/writer.tar", "webdataset/notes.tar", "tfrecord/rows.tfrecord"]) {
    cpSync(fixture(name), join(cwd, name.slice(name.indexOf("/") + 1)));
  }
});

afterEach(() => {
  rmSync(cwd, { recursive: true });
});

test("index keeps an index beside each shard, and patterns pass over it", async () => {
  for (let run = 0; run < 2; run++) {
    const { code, stdout, stderr } = await kdata(["index", "[nw]*"], { cwd });
    expect([code, masked(stdout), stderr]).toEqual([
      0,
      "indexed 2 files, 7 samples in N s\n",
      "kdata index: 1 input\nkdata index: done 2 indexes\n",
    ]);
  }
  expect(readdirSync(cwd).sort()).toEqual([
    "notes.tar",
    "notes.tar.kidx",
    "rows.tfrecord",
    "writer.tar",
    "writer.tar.kidx",
  ]);
});

test.each(["writer.tar", "notes.tar", "rows.tfrecord", "rows.tfrecord.gz"])(
  "records of %s read by number through the index are those read in order",
  async (name) => {
    if (name.endsWith(".gz")) writeFileSync(join(cwd, name), gzipSync(readFileSync(join(cwd, name.slice(0, -3)))));
    await indexShards(join(cwd, name));
    const { format, shards } = await findDataset(join(cwd, name));
    const ignored: string[] = [];
    const reader = openShard(format, shards[0]!, { onIgnoredIndex: (reason) => ignored.push(reason) });
    const inOrder = Array.from(reader.samples(), describeSample);
    expect(reader.index()?.checksums).toHaveLength(inOrder.length);
    expect(inOrder.map((_, record) => describeSample(reader.read(record)))).toEqual(inOrder);
    expect(ignored).toEqual([]);
    reader.close();
  },
);

test("a flipped bit in a tar payload is found by number, by the loader and by validate once there is an index", async () => {
  const path = join(cwd, "writer.tar");
  utimesSync(path, then, then);
  await indexShards(path);
  const bytes = readFileSync(path);
  bytes[bytes.indexOf("grüße 2")]! ^= 1;
  writeFileSync(path, bytes);
  utimesSync(path, then, then);
  const { format, shards } = await findDataset(path);
  const reader = openShard(format, shards[0]!);
  expect(errorOf(() => reader.read(2))).toMatchObject({ code: "checksum", at: { source: path, record: 2 } });
  expect(reader.read(1).key).toBe("images/0001");
  reader.close();
  expect(await validate(path)).toMatchObject({ ok: 3, bad: 1, faults: [{ record: 2, code: "checksum" }] });
  const batches = await loader(path, { batchSize: 4, workers: 0, transforms: [select({ y: "cls" })] });
  await expect(batches[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "checksum", at: { record: 2 } });
  await batches.close();
});

test.each(["npy/labels.npy", "npz/deflated.npz", "idx/int8.idx"])(
  "an index of %s vouches for every byte that is read, in order, by number, and converted",
  async (name) => {
    const source = fixture(name);
    const path = join(cwd, source.slice(source.lastIndexOf("/") + 1));
    cpSync(source, path);
    utimesSync(path, then, then);
    const { outputs } = await indexShards(path);
    expect(outputs).toEqual([`${path}.kidx`]);
    const intact = await validate(path);
    expect(intact).toMatchObject({ bad: 0, ignoredIndexes: [] });
    const bytes = readFileSync(path);
    bytes[bytes.length - 1]! ^= 1;
    writeFileSync(path, bytes);
    utimesSync(path, then, then);
    const { format, shards } = await findDataset(path);
    expect(errorOf(() => [...openShard(format, shards[0]!).samples()])).toMatchObject({ at: { source: path } });
    expect((await validate(path)).bad).toBeGreaterThan(0);
    const converted = convert(path, { to: "jsonl", output: join(cwd, "out") });
    await expect(converted).rejects.toMatchObject({ code: "checksum" });
  },
);

test("an index that was made with an error relaxed is only for who relaxes it too", async () => {
  const path = join(cwd, "writer.tar");
  const whole = readFileSync(path);
  writeFileSync(path, Buffer.concat([whole, Buffer.from("more")]));
  await expect(indexShards(path)).rejects.toMatchObject({ code: "format" });
  await indexShards(path, { trailingBytes: "ignore" });
  const strict = await validate(path);
  expect(strict).toMatchObject({
    bad: 1,
    ignoredIndexes: [{ reason: expect.stringMatching(/trailingBytes/) as unknown }],
  });
  const relaxed = await validate(path, { trailingBytes: "ignore" });
  expect(relaxed).toMatchObject({ bad: 0, ignoredIndexes: [], passedOver: 1, tolerated: [{ byte: whole.length }] });
});

test("an index of a file that changed is passed over with the reason, until it is made anew", async () => {
  const path = join(cwd, "writer.tar");
  await indexShards(path);
  utimesSync(path, then, then);
  const report = await validate(path);
  expect(report).toMatchObject({
    bad: 0,
    ignoredIndexes: [{ source: path, reason: "the file was modified after it was made" }],
  });
  const { stdout } = await kdata(["validate", "writer.tar"], { cwd });
  expect(stdout).toContain("writer.tar: its index was not used: the file was modified after it was made\n");
  appendFileSync(path, new Uint8Array(512));
  expect((await validate(path)).ignoredIndexes).toMatchObject([
    { reason: expect.stringMatching(/^the file had \d+ bytes/) as unknown },
  ]);
  await indexShards(path);
  expect(await validate(path)).toMatchObject({ bad: 0, ignoredIndexes: [] });
});

test("a damaged index is an error where it is needed, and index makes it anew", async () => {
  const path = join(cwd, "rows.tfrecord");
  await indexShards(path);
  const index = readFileSync(`${path}.kidx`);
  index[index.length >> 1]! ^= 4;
  writeFileSync(`${path}.kidx`, index);
  const { format, shards } = await findDataset(path);
  const reader = openShard(format, shards[0]!);
  expect(errorOf(() => reader.count())).toMatchObject({ code: "checksum", at: { source: `${path}.kidx` } });
  expect([...reader.samples()]).toHaveLength(12);
  reader.close();
  expect(await validate(path)).toMatchObject({ ok: 12, bad: 1, faults: [{ source: `${path}.kidx` }] });
  await indexShards(path);
  expect(await validate(path)).toMatchObject({ ok: 12, bad: 0 });
});

test("index --as writes what widsindex, wds2idx and tfrecord2idx write", async () => {
  const runs = [
    ["index", "notes.tar", "writer.tar", "--as", "wids", "-o", "indexes.json"],
    ["index", "writer.tar", "--as", "dali"],
    ["index", "rows.tfrecord", "--as", "tfindex"],
  ];
  for (const args of runs) expect((await kdata(args, { cwd })).code).toBe(0);
  for (const name of ["indexes.json", "writer.idx", "rows.tfindex"]) {
    expect(readFileSync(join(cwd, name), "utf8"), name).toBe(readFileSync(fixture(`indexes/${name}`), "utf8"));
  }
});

test("wids finds archives from where its index lies, and dali makes an index for each of them", async () => {
  mkdirSync(join(cwd, "lists"));
  await indexShards(join(cwd, "*.tar"), { as: "wids", output: join(cwd, "lists/all.json") });
  const { name, shardlist } = JSON.parse(readFileSync(join(cwd, "lists/all.json"), "utf8")) as {
    name: string;
    shardlist: { url: string }[];
  };
  expect([name, shardlist.map(({ url }) => url)]).toEqual(["all", ["../notes.tar", "../writer.tar"]]);
  const { outputs, samples } = await indexShards(join(cwd, "*.tar"), { as: "dali", output: join(cwd, "lists") });
  expect([outputs, samples]).toEqual([[join(cwd, "lists/notes.idx"), join(cwd, "lists/writer.idx")], 7]);
});

test("index refuses forms that do not fit, outputs that exist, and what needs no index", async () => {
  cpSync(fixture("folder/pets"), join(cwd, "classes"), { recursive: true });
  const runs: readonly [number, RegExp, ...string[]][] = [
    [2, /Cannot index TFRecord .* as "wids": its forms are tfindex/, "rows.tfrecord", "--as", "wids", "-o", "a.json"],
    [2, /hint: Did you mean dali\?/, "writer.tar", "--as", "dalli"],
    [2, /-o <file> is missing/, "writer.tar", "--as", "wids"],
    [2, /hint: Name the form: --as dali \| wids/, "writer.tar", "-o", "x"],
    [5, /the output exists \(rows\.tfrecord\)/, "rows.tfrecord", "--as", "tfindex", "-o", "rows.tfrecord"],
    [4, /needs no index/, join(cwd, "classes")],
    [3, /no such file/, "none.tar"],
  ];
  for (const [code, message, ...args] of runs) {
    const run = await kdata(["index", ...args], { cwd });
    expect([run.code, run.stdout], args.join(" ")).toEqual([code, ""]);
    expect(run.stderr).toMatch(message);
  }
  writeFileSync(join(cwd, "a.tar.gz"), gzipSync(readFileSync(join(cwd, "writer.tar"))));
  await expect(indexShards(join(cwd, "a.tar.gz"), { as: "dali" })).rejects.toMatchObject({ code: "unsupported" });
});

test("index leaves nothing behind when the framing breaks", async () => {
  writeFileSync(join(cwd, "cut.tar"), readFileSync(join(cwd, "writer.tar")).subarray(0, 5000));
  await expect(indexShards(join(cwd, "cut.tar"))).rejects.toMatchObject({ code: "truncated" });
  await expect(indexShards(join(cwd, "cut.tar"), { as: "dali" })).rejects.toMatchObject({ code: "truncated" });
  expect(readdirSync(cwd).filter((name) => name.includes("cut"))).toEqual(["cut.tar"]);
});
