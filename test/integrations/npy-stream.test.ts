import { expect, test } from "vitest";
import type { Batch } from "../../src/core/batch.ts";
import { KdataError } from "../../src/core/errors.ts";
import { bytesOf, tensor } from "../../src/core/tensor.ts";
import { npyStream, toBatches, type BatchSource } from "../../src/integrations/index.ts";
import { parseNpyHeader } from "../../src/readers/npy-header.ts";
import { fixture } from "../cli/run-kdata.ts";
import { loader } from "../../src/loaders/index.ts";

/** Splits a stream into its frames by the lengths alone, as any reader would. */
function framesOf(stream: Buffer): { header: Record<string, unknown>; arrays: Buffer[] }[] {
  const frames: ReturnType<typeof framesOf> = [];
  for (let at = 0; at < stream.length;) {
    const end = at + 4 + stream.readUInt32LE(at);
    const line = stream.toString("utf8", at + 4, end);
    expect(line.endsWith("\n")).toBe(true);
    const header = JSON.parse(line) as Record<string, unknown>;
    const sizes = ((header["columns"] ?? []) as { arrays: number[] }[]).flatMap(({ arrays }) => arrays);
    at = end;
    const arrays = sizes.map((size) => stream.subarray(at, (at += size)));
    frames.push({ header, arrays });
  }
  return frames;
}

async function streamOf(source: BatchSource, options = {}): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of npyStream(source, options)) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

test("a stream is a begin frame, a frame for each batch with its arrays, and an end frame that counts", async () => {
  const train = await loader(fixture("tfrecord/rows.tfrecord"), { batchSize: 5, remainder: "pad" });
  const frames = framesOf(await streamOf(train, { epochs: 2 }));
  expect(frames[0]!.header).toEqual({ frame: "begin", stream: "kdata.npy-stream/1", epochs: 2, steps: 3, samples: 12 });
  expect(frames.slice(1, -1).map(({ header }) => [header["epoch"], header["step"], header["padded"]])).toEqual([
    [0, 0, 0],
    [0, 1, 0],
    [0, 2, 3],
    [1, 0, 0],
    [1, 1, 0],
    [1, 2, 3],
  ]);
  expect(frames.at(-1)!.header).toEqual({ frame: "end", batches: 6, samples: 24, padded: 6, skipped: 0 });
  train.load({ ...train.state(), epoch: 0, samples: 0 });
  for await (const batch of train) {
    const { header, arrays } = frames[1 + batch.step]!;
    expect(header["keys"]).toEqual(batch.keys);
    const x = batch.features["x"] as unknown as { shape: number[]; data: Float32Array };
    const npy = arrays[0]!;
    const { shape, dataStart } = parsed(npy);
    expect(shape).toEqual(x.shape);
    expect(Buffer.compare(npy.subarray(dataStart), bytesOf(x.data))).toBe(0);
  }
  await train.close();
});

test("values are their bytes behind their offsets, lists behind the offsets of their items", async () => {
  const batch = ownBatch({
    text: ["ä", ""],
    bytes: [Uint8Array.of(1, 2), new Uint8Array(0)],
    list: [[Uint8Array.of(3), Uint8Array.of(4, 5)], []],
    json: [{ json: { a: 1 } }, { json: null }],
    half: tensor("bfloat16", [2], Uint16Array.of(1, 2)),
  });
  const [, { header, arrays } = { header: {}, arrays: [] }] = framesOf(await streamOf(sourceOf([batch])));
  const columns = header["columns"] as { name: string; kind: string; dtype?: string; arrays: number[] }[];
  expect(columns.map(({ name, kind, dtype, arrays: { length } }) => [name, kind, dtype, length])).toEqual([
    ["text", "string", undefined, 2],
    ["bytes", "bytes", undefined, 2],
    ["list", "list", undefined, 3],
    ["json", "json", undefined, 2],
    ["half", "tensor", "bfloat16", 1],
  ]);
  expect(arrays.map((npy) => npy.subarray(parsed(npy).dataStart).toString("hex"))).toEqual([
    int64(0, 2, 2),
    "c3a4",
    int64(0, 2, 2),
    "0102",
    int64(0, 2, 2),
    int64(0, 1, 3),
    "030405",
    int64(0, 7, 11),
    Buffer.from('{"a":1}null').toString("hex"),
    "01000200",
  ]);
});

test("large arrays are not copied into the stream, small pieces are joined", async () => {
  const large = { shape: [2, 10_000], data: new Float32Array(20_000).fill(0.5) };
  const source = toBatches([{ large, small: [1, 2], last: [3, 4] }]);
  const sizes: number[] = [];
  for await (const piece of npyStream(source)) {
    sizes.push(piece.length);
    if (piece.length === 80_000) expect(piece.buffer).toBe(large.data.buffer);
  }
  expect(sizes).toHaveLength(5); // begin, head, the large array, the others, end
  expect(sizes[2]).toBe(80_000);
});

test("an error of the source is the last frame, and is thrown", async () => {
  async function* failing(): AsyncGenerator<Batch> {
    yield await Promise.resolve(ownBatch({ x: tensor("int8", [1], Int8Array.of(1)) }));
    throw new KdataError("checksum", "Cannot read x", { at: { source: "a", record: 3 }, hint: "Look at it." });
  }
  const pieces: Buffer[] = [];
  async function read(): Promise<void> {
    for await (const piece of npyStream({ [Symbol.asyncIterator]: failing })) pieces.push(Buffer.from(piece));
  }
  await expect(read()).rejects.toMatchObject({ code: "checksum" });
  const frames = framesOf(Buffer.concat(pieces)).map(({ header }) => header);
  expect(frames.map(({ frame }) => frame)).toEqual(["begin", "batch", "error"]);
  expect(frames.at(-1)).toEqual({
    frame: "error",
    code: "checksum",
    message: "Cannot read x (a, record 3)",
    hint: "Look at it.",
  });
});

test("misspelt options are refused", async () => {
  await expect(streamOf(sourceOf([]), { epoch: 2 })).rejects.toThrow("there is no option 'epoch'");
});

function parsed(npy: Buffer): { shape: readonly number[]; dataStart: number } {
  const dataStart = 10 + npy.readUInt16LE(8); // version 1.0
  return { shape: parseNpyHeader(npy.subarray(0, dataStart), { source: "stream" }).shape, dataStart };
}

function int64(...numbers: number[]): string {
  return Buffer.from(BigInt64Array.from(numbers, BigInt).buffer).toString("hex");
}

function ownBatch(features: Batch["features"]): Batch {
  const keys = ["a", "b"];
  const batch: Batch = {
    size: 2,
    padded: 0,
    features,
    keys,
    epoch: 0,
    step: 0,
    release: () => undefined,
    copy: () => batch,
  };
  return batch;
}

function sourceOf(batches: readonly Batch[]): BatchSource {
  return {
    async *[Symbol.asyncIterator]() {
      for (const batch of batches) yield await Promise.resolve(batch);
    },
  };
}
