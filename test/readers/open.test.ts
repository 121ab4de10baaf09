import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, describe, expect, test, vi } from "vitest";
import { maskedCrc32c } from "../../src/readers/crc32c.ts";
import { formatByName, formats } from "../../src/readers/formats.ts";
import { findDataset, openShard, openStream } from "../../src/readers/open.ts";
import { FileSource } from "../../src/readers/source-file.ts";
import { streamSource } from "../../src/readers/source-stream.ts";
import { describeSample, expectedSamples } from "./expected.ts";
import { errorOf } from "./shards.ts";

const root = mkdtempSync(join(tmpdir(), "kdata-open-"));
const tfrecord = "fixtures/tfrecord/rows.tfrecord";

afterAll(() => {
  rmSync(root, { recursive: true });
});

function place(name: string, content: Uint8Array | string): string {
  const path = join(root, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, content);
  return path;
}

async function* chunks(...pieces: readonly (Uint8Array | string)[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield await Promise.resolve(new Uint8Array(Buffer.from(piece)));
}

describe("formatByName()", () => {
  test("finds every format by its name", () => {
    for (const format of formats) expect(formatByName(format.name)).toBe(format);
  });

  test("names all formats and the nearest one when there is none", () => {
    const error = errorOf(() => formatByName("tfrecrod"));
    expect(error).toMatchObject({ code: "usage", hint: "Did you mean tfrecord?" });
    for (const { name } of formats) expect(error.message).toContain(name);
  });
});

describe("findDataset()", () => {
  test("finds the format by content, not by name", async () => {
    const path = place("misnamed.tar", readFileSync(tfrecord));
    expect(await findDataset(path)).toEqual({
      format: formatByName("tfrecord"),
      shards: [{ name: path, paths: [path] }],
    });
  });

  test("finds the format inside gzip, also when the compressed head is not all", async () => {
    const path = place(
      "large.bin",
      gzipSync(Buffer.concat(Array<Buffer>(500).fill(readFileSync(tfrecord))), { level: 0 }),
    );
    expect((await findDataset(path)).format.name).toBe("tfrecord");
  });

  test("does not take a first record whose length looks like gzip for gzip", async () => {
    const record = Buffer.alloc(12 + 0x088b1f + 4);
    record.writeUInt32LE(0x088b1f, 0);
    const view = new DataView(record.buffer, record.byteOffset);
    record.writeUInt32LE(maskedCrc32c(view, 0, 8), 8);
    record.writeUInt32LE(maskedCrc32c(view, 12, 12 + 0x088b1f), 12 + 0x088b1f);
    const path = place("like-gzip", record);
    const { format, shards } = await findDataset(path);
    expect(format.name).toBe("tfrecord");
    expect(openShard(format, shards[0]!).count()).toBe(1);
  });

  test("passes over empty files to find the format, and keeps them as shards", async () => {
    const empty = place("0.tfrecord", "");
    const full = place("1.tfrecord", readFileSync(tfrecord));
    const { format, shards } = await findDataset([empty, full]);
    expect(format.name).toBe("tfrecord");
    expect(shards.map(({ name }) => openShard(format, { name, paths: [name] }).count())).toEqual([0, 12]);
  });

  test("takes the files of a directory that have the extension of a known format, or of the given one", async () => {
    place("mixed/a.tfrecord", readFileSync(tfrecord));
    place("mixed/b.tfrecord.gz", gzipSync(readFileSync(tfrecord)));
    place("mixed/labels.npy", readFileSync("fixtures/npy/labels.npy"));
    place("mixed/readme.md", "no data");
    const directory = join(root, "mixed");
    const named = await findDataset(directory, { format: "tfrecord" });
    expect(named.shards.map(({ name }) => name)).toEqual(
      ["a.tfrecord", "b.tfrecord.gz"].map((file) => join(directory, file)),
    );
    expect((await findDataset(directory)).shards).toHaveLength(3);
  });

  test("groups files by what the format says, across a list of specs", async () => {
    const x = place("pair/x.npy", readFileSync("fixtures/npy/labels.npy"));
    const y = place("pair/y.npy", readFileSync("fixtures/npy/labels.npy"));
    const { format, shards } = await findDataset([x, y]);
    expect(shards).toEqual([{ name: join(root, "pair"), paths: [x, y] }]);
    const reader = openShard(format, shards[0]!);
    expect(Object.keys(reader.read(0).features)).toEqual(["x", "y"]);
    reader.close();
  });

  test("joins files with a comma, whatever their directories; the first one names the shard", async () => {
    const x = place("one/x.npy", readFileSync("fixtures/npy/labels.npy"));
    const y = place("other/y.npy", readFileSync("fixtures/npy/labels.npy"));
    const { format, shards } = await findDataset([`${x},${y}`, y]);
    expect(shards).toEqual([
      { name: x, paths: [x, y] },
      { name: y, paths: [y] },
    ]);
    const reader = openShard(format, shards[0]!);
    expect(reader.read(1)).toMatchObject({ key: "x/1", origin: { source: x, record: 1 } });
    expect(Object.keys(reader.read(1).features)).toEqual(["x", "y"]);
    reader.close();
  });

  test("refuses to join files where a shard is one file", async () => {
    await expect(findDataset(`${tfrecord},${tfrecord}`)).rejects.toMatchObject({ code: "usage" });
  });

  test("names what is known when the content is of no known format", async () => {
    const path = place(
      "text.tar",
      "just some text that is longer than any magic number of any of these formats".repeat(10),
    );
    const error: unknown = await findDataset(path).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "format", at: { source: path } });
    for (const { title } of formats) expect(String(error)).toContain(title);
  });

  test("asks for the format when all files are empty, and for a known one when the given one is not", async () => {
    await expect(findDataset(place("empty.tfrecord", ""))).rejects.toMatchObject({ code: "format" });
    await expect(findDataset(tfrecord, { format: "tar" })).rejects.toMatchObject({ code: "usage" });
  });
});

describe("openShard()", () => {
  test("inflates gzip under the limit, and reads the same samples", () => {
    const path = place("packed/rows.tfrecord.gz", gzipSync(readFileSync(tfrecord)));
    const reader = openShard(formatByName("tfrecord"), { name: path, paths: [path] });
    expect(Array.from(reader.samples(), describeSample)).toEqual(expectedSamples(tfrecord));
    const limits = { inflatedBytes: 100 };
    const error = errorOf(() => openShard(formatByName("tfrecord"), { name: path, paths: [path] }, { limits }));
    expect(error).toMatchObject({ code: "limit", at: { source: path } });
  });

  test("closes every file, when it fails and when the reader is closed", () => {
    const close = vi.spyOn(FileSource.prototype, "close");
    const x = place("closing/t.x.npy", readFileSync("fixtures/npy/labels.npy"));
    const y = place("closing/t.y.npy", "not an array");
    const npy = formatByName("npy");
    errorOf(() => openShard(npy, { name: "t", paths: [x, y] }));
    expect(closedNames(close)).toEqual([x, y]);
    close.mockClear();
    errorOf(() => openShard(npy, { name: "t", paths: [x, join(root, "missing.npy")] }));
    expect(closedNames(close)).toEqual([x]);
    close.mockClear();
    const reader = openShard(npy, { name: "t", paths: [x] });
    expect(close).not.toHaveBeenCalled();
    reader.close();
    expect(closedNames(close)).toEqual([x]);
    close.mockRestore();
  });
});

describe("openStream()", () => {
  test("detects the format from chunks of any size and loses none of them", async () => {
    const bytes = readFileSync(tfrecord);
    const pieces = [bytes.subarray(0, 1), bytes.subarray(1, 9), bytes.subarray(9)];
    const { format, samples } = await openStream(streamSource(tfrecord, chunks(...pieces)));
    expect(format.name).toBe("tfrecord");
    const read: unknown[] = [];
    for await (const sample of samples) read.push(describeSample(sample));
    expect(read).toEqual(expectedSamples(tfrecord));
  });

  test("takes an empty stream as what it is said to be", async () => {
    const { samples } = await openStream(streamSource("-", chunks()), { format: "tfrecord" });
    for await (const sample of samples) expect(sample).toBeUndefined();
    await expect(openStream(streamSource("-", chunks()))).rejects.toMatchObject({ code: "format" });
  });

  test.each([
    ["gzip", gzipSync(readFileSync(tfrecord)), "unsupported"],
    ["arrays, which need to seek", readFileSync("fixtures/npy/labels.npy"), "unsupported"],
    ["what is of no known format", "text".repeat(2000), "format"],
  ])("lets go of a stream that it refuses: %s", async (_, content, code) => {
    let released = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        yield* chunks(content, "never taken");
      } finally {
        released = true;
      }
    }
    await expect(openStream(streamSource("-", source()))).rejects.toMatchObject({ code, at: { source: "-" } });
    expect(released).toBe(true);
  });

  test("lets go of the stream when the reader of the samples stops", async () => {
    let released = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) yield* chunks(readFileSync(tfrecord));
      } finally {
        released = true;
      }
    }
    const { samples } = await openStream(streamSource("-", source()));
    for await (const sample of samples) {
      expect(sample.key).toBe("-/0");
      break;
    }
    expect(released).toBe(true);
  });
});

function closedNames(close: { readonly mock: { readonly contexts: readonly unknown[] } }): string[] {
  return close.mock.contexts.map((source) => (source as FileSource).name);
}
