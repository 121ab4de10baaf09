import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openOutput } from "../../src/cli/output.ts";
import { cat } from "../../src/index.ts";
import { npyStream } from "../../src/integrations/index.ts";
import { loader } from "../../src/loaders/index.ts";
import { openStream } from "../../src/readers/open.ts";
import { streamSource } from "../../src/readers/source-stream.ts";
import { plain } from "../writers/samples.ts";
import { fixture, kdata, main, masked, mnist } from "./run-kdata.ts";

const rows = fixture("tfrecord/rows.tfrecord");

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-cat-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

interface PlainSample {
  readonly key: string;
  readonly features: unknown;
}

/** Runs `kdata cat`; bytes of standard output, not text. */
function catBytes(...args: readonly string[]): Promise<{ code: number | null; stdout: Buffer; stderr: string }> {
  const child = spawn(process.execPath, [main, "cat", ...args], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  const chunks: Buffer[] = [];
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      resolve({ code, stdout: Buffer.concat(chunks), stderr });
    });
  });
}

async function bytesOfStream(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const copies: Buffer[] = [];
  for await (const piece of pieces) copies.push(Buffer.from(piece));
  return Buffer.concat(copies);
}

async function samplesOf(format: string, bytes: Uint8Array): Promise<PlainSample[]> {
  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(bytes);
  }
  const { samples } = await openStream(streamSource("-", chunks()), { format });
  const all: PlainSample[] = [];
  for await (const sample of samples) all.push(plain(sample) as PlainSample);
  return all;
}

test("writes the loader's batches, epoch after epoch, whatever the number of workers", async () => {
  const train = await loader(rows, { batchSize: 5, shuffle: true, seed: 4 });
  const expected = await bytesOfStream(npyStream(train, { epochs: 2 }));
  await train.close();
  for (const workers of ["0", "2"]) {
    const args = [rows, "--batch", "5", "--shuffle", "--seed", "4", "--epochs", "2", "-j", workers];
    const { code, stdout, stderr } = await catBytes(...args);
    expect({ code, same: stdout.equals(expected) }).toEqual({ code: 0, same: true });
    expect(masked(stderr)).toBe(
      "kdata cat: 1 input -> npy-stream on standard output\n" + "kdata cat: done 24 samples, 3.5 KiB N smp/s\n",
    );
  }
});

test("--start-epoch goes on with the order of a later epoch", async () => {
  const both = await catBytes(rows, "--shuffle", "--epochs", "2", "--to", "npy-stream");
  const second = await catBytes(rows, "--shuffle", "--start-epoch", "1");
  const frame = Buffer.from('{"frame":"batch","epoch":1');
  const body = (stream: Buffer) => stream.subarray(stream.indexOf(frame), stream.lastIndexOf('{"frame":"end"') - 4);
  expect(body(second.stdout).length).toBeGreaterThan(500);
  expect(body(second.stdout).equals(body(both.stdout))).toBe(true);
});

test.each(["tfrecord", "webdataset", "jsonl"])(
  "writes shuffled samples as %s that reads back as they were",
  async (to) => {
    const train = await loader(rows, { batchSize: 1, shuffle: true, seed: 1 });
    const keys: string[] = [];
    for await (const batch of train) keys.push(...batch.keys);
    const { code, stdout } = await catBytes(rows, "--to", to, "--shuffle", "--seed", "1");
    expect(code).toBe(0);
    const read = await samplesOf(to, stdout);
    expect(read.map(({ key }) => key)).toEqual(keys);
    const stored = await samplesOf("tfrecord", readFileSync(rows));
    const features = new Map(stored.map((sample) => [sample.key.replace("-/", "rows/"), sample.features]));
    for (const sample of read) expect(sample.features).toEqual(features.get(sample.key));
  },
);

test("samples need not fit together", async () => {
  writeFileSync(join(folder, "a.jsonl"), '{"x":[1,2]}\n{"x":[1],"name":"b"}\n');
  const { code, stdout } = await catBytes("a.jsonl", "--to", "jsonl");
  expect([code, stdout.toString()]).toEqual([0, '{"__key__":"a/0","x":[1,2]}\n{"__key__":"a/1","name":"b","x":[1]}\n']);
});

test("the ranks' parts are the data, once", async () => {
  const parts: string[] = [];
  for (const rank of ["0", "1", "2"]) {
    const { stdout } = await catBytes(rows, "--to", "jsonl", "--shuffle", "--rank", rank, "--world-size", "3");
    parts.push(...stdout.toString().trimEnd().split("\n"));
  }
  const whole = await catBytes(rows, "--to", "jsonl");
  expect(parts.sort()).toEqual(whole.stdout.toString().trimEnd().split("\n").sort());
});

test("--select and --transforms choose and change features", async () => {
  writeFileSync(
    join(folder, "t.ts"),
    'export const transforms: object[] = [{ transform: "cast", feature: "y", dtype: "int32" }];\n',
  );
  const { code, stdout, stderr } = await catBytes(rows, "--to", "jsonl", "--select", "y", "--transforms", "t.ts");
  expect([code, stderr.split("\n").length]).toEqual([0, 3]);
  expect(stdout.toString()).toMatch(/^\{"__key__":"rows\/0","y":\{"\$tensor":"int32","data":\[\d+\]\}\}\n/);
});

test("a bad sample ends the stream with its error: a frame of npy-stream, the exit code of all", async () => {
  const bytes = readFileSync(rows);
  bytes[300] = (bytes[300] ?? 0) ^ 1;
  writeFileSync(join(folder, "bad.tfrecord"), bytes);
  const { code, stdout, stderr } = await catBytes("bad.tfrecord", "--batch", "1");
  expect(code).toBe(4);
  const last = JSON.parse(stdout.subarray(stdout.lastIndexOf('{"frame"')).toString()) as { message: string };
  expect(last).toMatchObject({ frame: "error", code: "checksum" });
  expect(stderr).toContain(`kdata: error[checksum]: ${last.message}`);
  const skipping = await catBytes("bad.tfrecord", "--on-error", "skip");
  expect([skipping.code, skipping.stdout.toString().includes('"samples":11,"padded":0,"skipped":1}')]).toEqual([
    0,
    true,
  ]);
  expect((await catBytes("bad.tfrecord", "--to", "webdataset")).code).toBe(4);
});

test("an input that is missing is told in the stream too", async () => {
  const { code, stdout } = await catBytes("none.tfrecord");
  expect(code).toBe(3);
  expect(JSON.parse(stdout.subarray(4).toString())).toMatchObject({ frame: "error", code: "input" });
});

test.each<[string, RegExp]>([
  ["--to npystream", /there is no stream 'npystream', only npy-stream, tfrecord, webdataset, jsonl/],
  ["--to parquet", /there is no stream 'parquet'/],
  ["--to tfrecord --batch 8", /batchSize means nothing to samples of tfrecord/],
  ["--to jsonl --epochs 2", /epochs means nothing to samples of jsonl/],
  ["--batch 0", /--batch/],
  ["--rank 2 --world-size 2", /2 is not one of 2/],
  ["--json", /the data goes there, so --format json cannot/],
  ["--select x,x", /has an empty name or one twice/],
  ["--bach 3", /unknown option '--bach' \(did you mean --batch\?\)/],
])("%s is refused", async (args, message) => {
  const { code, stderr } = await catBytes(rows, ...args.split(" "));
  expect(stderr).toMatch(message);
  expect(code).toBe(2);
});

test("standard input is refused", async () => {
  const { code, stderr } = await kdata(["cat", "-"], { input: Buffer.alloc(0) });
  expect([code, stderr]).toEqual([2, expect.stringContaining("Cannot cat standard input")]);
});

test("a reader that goes away ends it with 0, and leaves no process behind", async () => {
  const command = `set -o pipefail; ${process.execPath} ${main} cat '${mnist}/t10k-*' -j 2 --epochs 1000 --progress none | head -c 100000 | wc -c`;
  const child = spawn("bash", ["-c", command], { stdio: ["ignore", "pipe", "inherit"] });
  let stdout = "";
  child.stdout.on("data", (text: Buffer) => (stdout += text.toString()));
  const code = await new Promise((resolve) => child.on("close", resolve));
  expect([code, stdout.trim()]).toEqual([0, "100000"]);
});

test("^C ends it with 130", async () => {
  const run = await kdata(["cat", join(mnist, "t10k-*"), "--epochs", "1000", "--progress", "none"], {
    during(child) {
      child.stdout?.once("data", () => child.kill("SIGINT"));
    },
  });
  expect([run.code, run.stderr]).toEqual([130, expect.stringContaining("error[aborted]: Stopped on request")]);
});

test("binary streams do not go to a terminal; lines of text do, with what it would obey escaped", async () => {
  const screen = Object.assign(new PassThrough(), { isTTY: true });
  const output = openOutput(screen as unknown as NodeJS.WriteStream, "auto");
  expect(() => output.binary()).toThrow("it is a terminal");
  await output.text()(Buffer.from('{"x":"ä\u202e\u009b"}\n'));
  expect((screen.read() as Buffer).toString()).toBe('{"x":"ä\\u202e\\u009b"}\n');
});

test("cat() reports what it wrote", async () => {
  const pieces: number[] = [];
  const report = await cat(rows, (bytes) => Promise.resolve(void pieces.push(bytes.length)), { batchSize: 5 });
  expect(report).toMatchObject({ schema: "kdata.cat/1", to: "npy-stream", samples: 12 });
  expect(report.bytes).toBe(pieces.reduce((sum, length) => sum + length, 0));
  await expect(cat(rows, () => Promise.resolve(), { bachSize: 3 } as never)).rejects.toThrow("no option 'bachSize'");
});
