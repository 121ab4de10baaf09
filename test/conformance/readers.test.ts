// Every format over every fixture. A fixture is a file or a folder (the files of one shard) in fixtures/<format>/ with the
// samples that the reference reader found in it beside it, as `<name>.expected.json`.

import { copyFileSync, cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { KdataError } from "../../src/core/errors.ts";
import { RandomStream, deriveKey } from "../../src/core/random.ts";
import { compressionOf, inflateSource } from "../../src/readers/compression.ts";
import type { ChecksummedIndex, Format, ShardFiles } from "../../src/readers/format.ts";
import { formatByName, formats } from "../../src/readers/formats.ts";
import { defaultLimits } from "../../src/readers/limits.ts";
import { findDataset, openShard, openStream } from "../../src/readers/open.ts";
import { MemorySource } from "../../src/readers/source-memory.ts";
import { SealedSource, sealBlocks } from "../../src/readers/source-sealed.ts";
import { describeSample, expectedSamples } from "../readers/expected.ts";
import { readStream } from "../readers/shards.ts";
import { byteRole } from "./byte-role.ts";

const SUFFIX = ".expected.json";
/** In the smallest shard of a format, up to this size, every byte and every bit is tried. In others so many are, drawn by a seed. */
const EXHAUSTIVE_BYTES = 1536;
const DRAWN_CUTS = 150;
const DRAWN_FLIPS = 400;
/** With an index and without one. */
const DRAWN_INDEXED_FLIPS = 100;

/** Formats without a mark at the end: cut between two records, a file is a shorter file. */
const HAS_NO_END = ["tfrecord", "jsonl", "csv", "tsv"];

/** Formats whose files are samples as they are: cut, a file is another file. */
const HAS_NO_FRAME = ["folder"];

interface Fixture {
  readonly path: string;
  readonly shard: ShardFiles;
  /** Of all its files. */
  readonly bytes: number;
  readonly expected: readonly unknown[];
  /** Where a reader that cannot seek gives others, as it does of a CSV without types: `<name>.expected-stream.json`. */
  readonly streamed: unknown;
}

/** The content of each file of a shard. */
type Contents = readonly Uint8Array[];

/** What is kept beside each file of a shard. */
type Indexes = readonly (ChecksummedIndex | undefined)[];

/** What became of damaged bytes: an error, the samples as they were, fewer of them, or others. */
type Outcome = KdataError | "same" | "prefix" | "other";

for (const format of formats) {
  const fixtures = await fixturesOf(format);
  const smallest = Math.min(EXHAUSTIVE_BYTES, ...fixtures.map(({ bytes }) => bytes));
  const isStreamed = "stream" in format;

  test(`${format.name} has fixtures`, () => {
    expect(fixtures.length).toBeGreaterThan(0);
  });

  describe.each(fixtures)("$path", ({ shard, bytes: size, expected, streamed }) => {
    const isExhaustive = size <= smallest;
    const contents = shard.paths.map((path) => new Uint8Array(readFileSync(path)));

    test("is detected by its content, whatever its name", async () => {
      const folder = mkdtempSync(join(tmpdir(), "kdata-"));
      try {
        const copy = join(folder, "data");
        if ("fromDirectory" in format) cpSync(shard.name, copy, { recursive: true });
        else copyFileSync(shard.paths[0]!, copy);
        expect((await findDataset(copy)).format.name).toBe(format.name);
      } finally {
        rmSync(folder, { recursive: true });
      }
    });

    test("gives the samples of the reference reader, in order and by number", () => {
      const reader = openShard(format, shard);
      try {
        expect(Array.from(reader.samples(), describeSample)).toEqual(expected);
        expect(Array.from(reader.check(), (found) => ("error" in found ? found : describeSample(found)))).toEqual(
          expected,
        );
        expect(reader.count()).toBe(expected.length);
        const read: unknown[] = [];
        for (const record of shuffled(expected.length)) read[record] = describeSample(reader.read(record));
        expect(read).toEqual(expected);
        expect(() => reader.read(expected.length)).toThrow(RangeError);
        expect(() => reader.read(-1)).toThrow(RangeError);
      } finally {
        reader.close();
      }
    });

    async function givesTheSameSamples(): Promise<void> {
      for (const chunkBytes of [1, 7, 4096]) {
        expect(await readStream(format, contents[0]!, shard.name, chunkBytes)).toEqual(streamed ?? expected);
      }
      const opened = await openStream({ kind: "stream", name: shard.name, chunks: chunksOf(contents[0]!) });
      expect(opened.format.name).toBe(format.name);
      const samples: unknown[] = [];
      for await (const sample of opened.samples) samples.push(describeSample(sample));
      expect(samples).toEqual(streamed ?? expected);
    }

    async function isRefused(): Promise<void> {
      const source = { kind: "stream" as const, name: "-", chunks: chunksOf(contents[0]!) };
      await expect(openStream(source)).rejects.toMatchObject({ code: "unsupported", at: { source: "-" } });
    }

    if (isStreamed) test("gives the same samples as a stream, however it is cut into chunks", givesTheSameSamples);
    else if (!("fromDirectory" in format)) test("is refused as a stream, because it needs to seek", isRefused);

    test.skipIf(HAS_NO_FRAME.includes(format.name))(
      "cut anywhere gives a positioned error, and never other samples",
      () => {
        const intact = JSON.stringify(readAll(format, shard, contents));
        const wrong: string[] = [];
        for (const [file, bytes] of contents.entries()) {
          const path = shard.paths[file]!;
          const roleOf = byteRole(format, bytes);
          for (const end of numbersBelow(bytes.length, isExhaustive ? Infinity : DRAWN_CUTS / contents.length)) {
            const outcome = outcomeOf(format, shard, contents.with(file, bytes.subarray(0, end)), intact);
            const isRight =
              outcome instanceof KdataError
                ? outcome.at?.byte !== undefined && outcome.at.source.startsWith(path)
                : outcome === "same"
                  ? roleOf(end) === "padding"
                  : outcome === "prefix" && HAS_NO_END.includes(format.name);
            if (!isRight) wrong.push(`${path} cut at byte ${end}: ${String(outcome)}`);
          }
        }
        expect(wrong).toEqual([]);
      },
    );

    test("with any bit flipped gives the same samples or an error, but for payloads without a checksum", () => {
      const intact = JSON.stringify(readAll(format, shard, contents));
      const wrong: string[] = [];
      for (const [file, bytes] of contents.entries()) {
        const path = shard.paths[file]!;
        const roleOf = byteRole(format, bytes);
        for (const bit of numbersBelow(8 * bytes.length, isExhaustive ? Infinity : DRAWN_FLIPS / contents.length)) {
          const byte = bit >>> 3;
          const flipped = new Uint8Array(bytes);
          flipped[byte]! ^= 1 << (bit & 7);
          const outcome = outcomeOf(format, shard, contents.with(file, flipped), intact);
          if (isSilent(outcome) && roleOf(byte) !== "unprotected")
            wrong.push(`${path}, bit ${bit & 7} of byte ${byte}: ${outcome}`);
        }
      }
      expect(wrong).toEqual([]);
    });

    test.skipIf(HAS_NO_FRAME.includes(format.name))(
      "with any bit flipped and an index changes nothing in silence",
      () => {
        const intact = JSON.stringify(readAll(format, shard, contents));
        const indexes = contents.map((bytes, file) => indexOf(format, shard.paths[file]!, bytes));
        const silent = { without: 0, with: 0 };
        let flips = 0;
        for (const [file, bytes] of contents.entries()) {
          for (const bit of numbersBelow(8 * bytes.length, DRAWN_INDEXED_FLIPS / contents.length)) {
            const flipped = new Uint8Array(bytes);
            flipped[bit >>> 3]! ^= 1 << (bit & 7);
            const damaged = contents.with(file, flipped);
            flips++;
            if (isSilent(outcomeOf(format, shard, damaged, intact))) silent.without++;
            if (isSilent(outcomeOf(format, shard, damaged, intact, indexes))) silent.with++;
          }
        }
        console.info(
          `${shard.name}: of ${flips} flipped bits ${silent.without} change data in silence, with an index ${silent.with}`,
        );
        expect(silent.with).toBe(0);
      },
    );
  });
}

test.each(["tfrecord", "npz"])("nothing in %s is without a checksum", (name) => {
  const roleOf = byteRole(formatByName(name), new Uint8Array(64));
  expect(Array.from({ length: 64 }, (_, byte) => roleOf(byte))).not.toContain("unprotected");
});

async function fixturesOf(format: Format): Promise<Fixture[]> {
  const folder = join("fixtures", format.name);
  const fixtures: Fixture[] = [];
  for (const file of readdirSync(folder)) {
    if (!file.endsWith(SUFFIX)) continue;
    const path = join(folder, file.slice(0, -SUFFIX.length));
    const { shards } = await findDataset(path, { format: format.name });
    expect(shards, path).toHaveLength(1);
    const streamed = existsSync(`${path}.expected-stream.json`) ? expectedSamples(path, "expected-stream") : undefined;
    const [shard] = shards;
    const bytes = shard!.paths.reduce((sum, part) => sum + statSync(part).size, 0);
    fixtures.push({ path, shard: shard!, bytes, expected: expectedSamples(path) as unknown[], streamed });
  }
  return fixtures;
}

/** Reads a shard from memory, inflated where it is compressed, as `openShard` does with files. */
function readAll(format: Format, shard: ShardFiles, contents: Contents, indexes?: Indexes): unknown[] {
  const sources = contents.map((bytes, file) => {
    const memory = new MemorySource(shard.paths[file]!, bytes);
    const source = format.sealed && indexes ? new SealedSource(memory, () => indexes[file]) : memory;
    const compression = compressionOf(bytes.subarray(0, 4096));
    return compression ? inflateSource(source, compression, defaultLimits) : source;
  });
  const index = format.sealed ? undefined : indexes?.[0];
  return Array.from(format.open(sources, index ? { index } : {}, shard.name).samples(), describeSample);
}

/** Makes what `kdata index` keeps beside a file. */
function indexOf(format: Format, path: string, bytes: Uint8Array): ChecksummedIndex | undefined {
  const memory = new MemorySource(path, bytes);
  const compression = compressionOf(bytes.subarray(0, 4096));
  const scan = format.sealed
    ? sealBlocks(memory)
    : format.open([compression ? inflateSource(memory, compression, defaultLimits) : memory]).scan();
  for (;;) {
    const next = scan?.next();
    if (next === undefined) return undefined;
    if (next.done === true) return next.value;
  }
}

function isSilent(outcome: Outcome): boolean {
  return outcome === "other" || outcome === "prefix";
}

/** Any error but a KdataError fails the test. */
function outcomeOf(format: Format, shard: ShardFiles, contents: Contents, intact: string, indexes?: Indexes): Outcome {
  try {
    const samples = JSON.stringify(readAll(format, shard, contents, indexes));
    if (samples === intact) return "same";
    return intact.startsWith(samples.slice(0, -1)) ? "prefix" : "other";
  } catch (error) {
    if (error instanceof KdataError) return error;
    throw error;
  }
}

/** All numbers below `count`, or `most` of them. */
function numbersBelow(count: number, most: number): number[] {
  if (count <= most) return Array.from({ length: count }, (_, number) => number);
  const random = new RandomStream(deriveKey(1, count));
  return Array.from({ length: Math.ceil(most) }, () => random.below(count));
}

function shuffled(count: number): number[] {
  const random = new RandomStream(deriveKey(2, count));
  const numbers = Array.from({ length: count }, (_, number) => number);
  for (let last = count - 1; last > 0; last--) {
    const other = random.below(last + 1);
    [numbers[last], numbers[other]] = [numbers[other]!, numbers[last]!];
  }
  return numbers;
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(bytes);
}
