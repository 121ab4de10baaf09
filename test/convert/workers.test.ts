// Worker threads write the same bytes as one thread, and an error or an abort in one of them leaves what it should.

import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { convert, type ConvertProgress } from "../../src/convert/index.ts";
import { KdataError } from "../../src/core/errors.ts";
import { tensor } from "../../src/core/tensor.ts";
import { runTasks } from "../../src/loaders/task-pool.ts";
import { writableFormatByName } from "../../src/writers/index.ts";
import { sampleOf } from "../writers/samples.ts";

const RECORDS = [300, 1, 700, 20];

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "kdata-workers-"));
  for (const [index, records] of RECORDS.entries()) writeShard(`in/train-00${index}`, records);
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});
const at = (...parts: readonly string[]) => join(directory, ...parts);

describe("convert() with workers", () => {
  it.each([
    [{ to: "webdataset" }, 2],
    [{ to: "npy", rename: { text: "label" } }, 3],
    [{ to: "tfrecord", shards: 5, key: "text" }, 2],
    [{ to: "npy", shards: 3, drop: ["text"] }, 8],
    [{ to: "tfrecord", shardSize: 5000 }, 2],
  ] as const)("writes the bytes of one thread: %j, %i workers", async (options, workers) => {
    const one = await convert(at("in/*.tfrecord"), { ...options, output: at("one") });
    const told: ConvertProgress[] = [];
    const several = await convert(at("in/*.tfrecord"), {
      ...options,
      output: at("several"),
      workers,
      onProgress: (progress) => told.push(progress),
    });
    expect(contentOf(at("several"))).toEqual(contentOf(at("one")));
    const shardsOf = ({ shards }: typeof one) =>
      shards.map(({ records, files }) => [records, files.map(({ bytes }) => bytes)]);
    expect(shardsOf(several)).toEqual(shardsOf(one));
    expect([several.records, several.bytes]).toEqual([one.records, one.bytes]);
    expect(told.at(-1)).toMatchObject({ records: 1021, totalRecords: 1021, running: [] });
  });

  it("keeps class, code and position of an error, keeps what is finished, and leaves nothing partial", async () => {
    const bytes = readFileSync(at("in/train-002.tfrecord"));
    bytes[bytes.length - 10] = (bytes[bytes.length - 10] ?? 0) ^ 1;
    writeFileSync(at("in/train-002.tfrecord"), bytes);
    const options = { to: "webdataset", output: at("out"), workers: 2 };
    const error = await rejected(convert(at("in/*.tfrecord"), options));
    expect([error.code, error.at?.source, error.at?.record]).toEqual(["checksum", at("in/train-002.tfrecord"), 699]);
    const names = readdirSync(at("out"));
    expect(names.filter((name) => name.endsWith(".partial"))).toEqual([]);
    // Whichever worker came to the last shard had finished one of the first two.
    expect(names.filter((name) => /^train-00[01]\.tar$/.test(name))).not.toEqual([]);
    expect(names).not.toContain("train-002.tar");

    const skipping = { ...options, onError: "skip", output: at("skipped"), report: at("report.jsonl") } as const;
    expect(await convert(at("in/*.tfrecord"), skipping)).toMatchObject({ records: 1020, skipped: 1 });
    expect(readFileSync(at("report.jsonl"), "utf8")).toContain('"record":699');
  });

  it("is resumed by one thread, and resumes what one thread began", async () => {
    const options = { to: "tfrecord", shards: 6 };
    await convert(at("in/*.tfrecord"), { ...options, output: at("whole") });
    await convert(at("in/*.tfrecord"), { ...options, output: at("out"), workers: 2 });
    for (const workers of [0, 2]) {
      for (const shard of [1, 2, 5]) rmSync(at(`out/train-0000${shard}.tfrecord`));
      const resumed = await convert(at("in/*.tfrecord"), {
        ...options,
        output: at("out"),
        workers,
        ifExists: "resume",
      });
      expect([resumed.resumed, resumed.shards.length]).toEqual([3, 3]);
      expect(contentOf(at("out"))).toEqual(contentOf(at("whole")));
    }
  });

  it("checks the names of features before a worker starts", async () => {
    const error = await rejected(
      convert(at("in/*.tfrecord"), { to: "npy", output: at("out"), workers: 2, select: ["valu"] }),
    );
    expect([error.code, error.hint]).toEqual(["usage", "Did you mean value?"]);
    expect(readdirSync(directory)).toEqual(["in"]);
  });

  it("stops on a signal: code aborted, nothing partial left", async () => {
    const controller = new AbortController();
    for (const index of [4, 5, 6]) writeShard(`in/train-00${index}`, 20_000);
    const error = await rejected(
      convert(at("in/*.tfrecord"), {
        to: "webdataset",
        output: at("out"),
        workers: 2,
        signal: controller.signal,
        onProgress: ({ running }) => {
          if (running.some(({ totalRecords }) => totalRecords === 20_000)) controller.abort("enough");
        },
      }),
    );
    expect([error.code, error.cause]).toEqual(["aborted", "enough"]);
    const names = readdirSync(at("out"));
    expect(names.filter((name) => name.endsWith(".partial"))).toEqual([]);
    expect(names).not.toContain("train-006.tar");
  });

  it.each([0, 2])("finishes the shards under way when it is asked to, and is resumed (%i workers)", async (workers) => {
    for (const index of [4, 5, 6, 7]) writeShard(`in/train-00${index}`, 20_000);
    const controller = new AbortController();
    const options = { to: "webdataset", output: at("out"), workers, finishSignal: controller.signal };
    const onProgress = ({ running, shard }: ConvertProgress) => {
      if (shard.includes("004") || running.some(({ totalRecords }) => totalRecords === 20_000)) controller.abort();
    };
    const error = await rejected(convert(at("in/*.tfrecord"), { ...options, onProgress }));
    expect(error.code).toBe("aborted");
    const names = readdirSync(at("out"));
    expect(names.filter((name) => name.endsWith(".partial"))).toEqual([]);
    expect(names).toContain("train-004.tar");
    expect(names).not.toContain("train-007.tar");
    const resumed = await convert(at("in/*.tfrecord"), { to: "webdataset", output: at("out"), ifExists: "resume" });
    expect(resumed.resumed).toBe(names.filter((name) => name.endsWith(".tar")).length);
    await convert(at("in/*.tfrecord"), { to: "webdataset", output: at("whole") });
    expect(contentOf(at("out"))).toEqual(contentOf(at("whole")));
  });

  it("refuses a number of workers that is none", async () => {
    for (const workers of [-1, 1.5]) {
      const error = await rejected(convert(at("in/*.tfrecord"), { to: "npy", output: at("out"), workers }));
      expect(error.message).toContain(`workers must be a whole number from 0 on, not ${workers}`);
    }
  });
});

describe("runTasks()", () => {
  it("says that a worker died, and stops the others", async () => {
    writeFileSync(
      at("tasks.mjs"),
      `export function startTasks(setup, tell) {
        return async (job) => { tell(job * setup); if (job === 2) process.exit(7); };
      }`,
    );
    const told: unknown[] = [];
    const error = await rejected(
      runTasks({
        module: new URL(`file://${at("tasks.mjs")}`),
        setup: 10,
        jobs: [1, 2, 3, 4],
        workers: 1,
        onMessage: (message, job) => told.push([message, job]),
      }),
    );
    expect([error.code, error.cause]).toEqual(["worker", "exit code 7"]);
    expect(told[0]).toEqual([10, 0]);
    expect(told).not.toContainEqual([30, 2]);
  });
});

function contentOf(path: string): Record<string, string> {
  const names = readdirSync(path).filter((name) => !name.endsWith(".manifest.json"));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(path, name), "base64")]));
}

function writeShard(stem: string, records: number): void {
  const writer = writableFormatByName("tfrecord").create(at(stem));
  for (let row = 0; row < records; row++) {
    const value = tensor("int64", [], BigInt64Array.of(BigInt(row)));
    writer.write(sampleOf(`${stem.slice(stem.lastIndexOf("/") + 1)}/${row}`, { value, text: `row ${row}` }));
  }
  writer.finish();
}

async function rejected(promise: Promise<unknown>): Promise<KdataError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof KdataError) return error;
    throw error;
  }
  throw new TypeError("expected a KdataError, but the promise was fulfilled");
}
