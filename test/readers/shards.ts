// Ways to read a shard that is in memory: all of them must give the same samples.

import { KdataError } from "../../src/core/errors.ts";
import type { Sample } from "../../src/core/sample.ts";
import { compressionOf } from "../../src/readers/compression.ts";
import type { Format, ReadOptions, ShardReader } from "../../src/readers/format.ts";
import { inflateStream } from "../../src/readers/source-inflate.ts";
import { MemorySource } from "../../src/readers/source-memory.ts";
import type { SeekableSource } from "../../src/readers/source.ts";
import { streamSource } from "../../src/readers/source-stream.ts";
import { describeSample } from "./expected.ts";

/** Opens a shard over bytes. */
export function openBytes(format: Format, bytes: Uint8Array, name: string, options?: ReadOptions): ShardReader {
  return format.open([new MemorySource(name, bytes)], options);
}

/** Reads all samples in order. */
export function readInOrder(format: Format, bytes: Uint8Array, name: string, options?: ReadOptions): unknown[] {
  return Array.from(openBytes(format, bytes, name, options).samples(), describeSample);
}

/** Reads all samples by number, the last one first. */
export function readBackwards(format: Format, bytes: Uint8Array, name: string, options?: ReadOptions): unknown[] {
  const reader = openBytes(format, bytes, name, options);
  const samples: unknown[] = [];
  for (let record = reader.count() - 1; record >= 0; record--) samples.unshift(describeSample(reader.read(record)));
  return samples;
}

/** Reads all samples from a stream whose chunks have `chunkBytes` bytes, inflated where they are compressed. */
export async function readStream(
  format: Format,
  bytes: Uint8Array,
  name: string,
  chunkBytes: number,
  options?: ReadOptions,
): Promise<unknown[]> {
  if (format.stream === undefined) throw new TypeError(`${format.name} reads no streams`);
  const samples: unknown[] = [];
  const stored = streamSource(name, chunksOf(bytes, chunkBytes));
  const compression = compressionOf(bytes.subarray(0, 4096));
  const source = compression ? inflateStream(stored, compression) : stored;
  const stream: AsyncIterable<Sample> = format.stream(source, options);
  for await (const sample of stream) samples.push(describeSample(sample));
  return samples;
}

/** A source that counts what is read of it. */
export function countingSource(name: string, bytes: Uint8Array): SeekableSource & { bytesRead: number } {
  const memory = new MemorySource(name, bytes);
  return {
    kind: "seekable",
    name,
    size: bytes.length,
    bytesRead: 0,
    read(target, position) {
      const count = memory.read(target, position);
      this.bytesRead += count;
      return count;
    },
    close: () => {
      memory.close();
    },
  };
}

/** Runs what must throw a KdataError, and gives it. */
export function errorOf(action: () => unknown): KdataError {
  try {
    action();
  } catch (error) {
    if (error instanceof KdataError) return error;
    throw error;
  }
  throw new TypeError("Nothing was thrown");
}

async function* chunksOf(bytes: Uint8Array, chunkBytes: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += chunkBytes) {
    // A copy each: a reader that keeps a chunk must not see the next one in it.
    yield await Promise.resolve(bytes.slice(start, start + chunkBytes));
  }
}
