import { deflateSync, gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { KdataError } from "../../src/core/errors.ts";
import { compressionOf, type Compression } from "../../src/readers/compression.ts";
import { inflateStream } from "../../src/readers/source-inflate.ts";
import { streamSource } from "../../src/readers/source-stream.ts";

const text = Buffer.from("some text ".repeat(100));

describe.each<[Compression, Buffer]>([
  ["gzip", gzipSync(text)],
  ["zlib", deflateSync(text)],
])("a stream of %s", (compression, compressed) => {
  test("is known by its first bytes", () => {
    expect(compressionOf(compressed)).toBe(compression);
    expect(compressionOf(text)).toBeUndefined();
    expect(compressionOf(compressed.subarray(0, 2))).toBeUndefined();
  });

  test.each([1, 7, 4096])("in chunks of %d gives what was deflated, with or without padding", async (chunkBytes) => {
    expect(await inflate(compressed, compression, chunkBytes)).toEqual(text);
    expect(await inflate(Buffer.concat([compressed, Buffer.alloc(20)]), compression, chunkBytes)).toEqual(text);
  });

  test("cut at any byte is truncated, with the number of bytes that arrived", async () => {
    for (let end = 0; end < compressed.length; end++) {
      const outcome = await outcomeOf(compressed.subarray(0, end), compression);
      expect(outcome).toMatchObject({ code: "truncated", at: { source: "-", byte: end } });
    }
  });

  test("with any bit flipped inflates to the same bytes or is an error", async () => {
    for (let bit = 0; bit < 8 * compressed.length; bit++) {
      const flipped = Buffer.from(compressed);
      flipped[bit >>> 3]! ^= 1 << (bit & 7);
      const outcome = await outcomeOf(flipped, compression);
      if (outcome instanceof Buffer) expect(outcome.equals(text)).toBe(true);
      else expect(outcome).toBeInstanceOf(KdataError);
    }
    const trailer = Buffer.from(compressed);
    trailer[trailer.length - (compression === "gzip" ? 8 : 4)]! ^= 1;
    expect(await outcomeOf(trailer, compression)).toMatchObject({ code: "checksum" });
  });

  test.each([1, 4096])("in chunks of %d refuses bytes behind the padding", async (chunkBytes) => {
    const trailed = Buffer.concat([compressed, Buffer.alloc(5), Buffer.from("x")]);
    const outcome = await outcomeOf(trailed, compression, chunkBytes);
    expect(outcome).toMatchObject({ code: "format", at: { byte: compressed.length + 5 } });
  });

  test("passes on the error of the stream below, after what came before", async () => {
    const failure = new KdataError("input", "Cannot read input: the pipe broke", { at: { source: "-" } });
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* chunksOf(compressed.subarray(0, 20), 20);
      throw failure;
    }
    await expect(collect(inflateStream(streamSource("-", broken()), compression).chunks)).rejects.toBe(failure);
  });

  test("that is left early is let go of", async () => {
    let released = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        yield* chunksOf(compressed, 30);
        for (;;) yield* chunksOf(Buffer.alloc(10), 10);
      } finally {
        released = true;
      }
    }
    for await (const piece of inflateStream(streamSource("-", endless()), compression).chunks) {
      expect(piece.length).toBeGreaterThan(0);
      break;
    }
    expect(released).toBe(true);
  });
});

test("members of gzip follow one another, wherever the chunks end", async () => {
  const two = Buffer.concat([gzipSync(text), gzipSync(text)]);
  for (const chunkBytes of [1, gzipSync(text).length, 4096]) {
    expect(await inflate(two, "gzip", chunkBytes)).toEqual(Buffer.concat([text, text]));
  }
});

async function inflate(bytes: Uint8Array, compression: Compression, chunkBytes: number): Promise<Buffer> {
  return collect(inflateStream(streamSource("-", chunksOf(bytes, chunkBytes)), compression).chunks);
}

async function outcomeOf(bytes: Uint8Array, compression: Compression, chunkBytes = 64): Promise<Buffer | KdataError> {
  try {
    return await inflate(bytes, compression, chunkBytes);
  } catch (error) {
    if (error instanceof KdataError) return error;
    throw error;
  }
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of chunks) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** Chunks in memory that is reused, as a stream may do. */
async function* chunksOf(bytes: Uint8Array, chunkBytes: number): AsyncGenerator<Uint8Array> {
  const chunk = new Uint8Array(chunkBytes);
  for (let start = 0; start < bytes.length; start += chunkBytes) {
    const part = bytes.subarray(start, start + chunkBytes);
    chunk.set(part);
    yield await Promise.resolve(chunk.subarray(0, part.length));
    chunk.fill(0xee);
  }
}
