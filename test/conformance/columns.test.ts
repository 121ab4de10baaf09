// Every format that reads columns, over every fixture whose samples are tensors: columns are the samples, bit for bit, in order and
// by number; and of damaged bytes both ways give the same data or the same error.

import { existsSync, readFileSync, readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { KdataError } from "../../src/core/errors.ts";
import { RandomStream, deriveKey } from "../../src/core/random.ts";
import type { Sample } from "../../src/core/sample.ts";
import { bytesOf, zeros } from "../../src/core/tensor.ts";
import { columnsOf } from "../../src/readers/columns.ts";
import { compressionOf } from "../../src/readers/compression.ts";
import type { ColumnSpec, Format, ShardFiles, ShardReader } from "../../src/readers/format.ts";
import { formats } from "../../src/readers/formats.ts";
import { findDataset } from "../../src/readers/open.ts";
import { copySampleRow, otherColumns } from "../../src/readers/row-copy.ts";
import { MemorySource } from "../../src/readers/source-memory.ts";

const SUFFIX = ".expected.json";
const DRAWN_FLIPS = 300;
const DRAWN_CUTS = 60;

interface Fixture {
  readonly path: string;
  readonly format: Format;
  readonly shard: ShardFiles;
  readonly columns: readonly ColumnSpec[];
  readonly rows: number;
}

const fixtures: Fixture[] = [];
for (const format of formats) fixtures.push(...(await columnFixtures(format)));

test("there are fixtures of columns in several formats", () => {
  const names = new Set(fixtures.map(({ format }) => format.name));
  expect([...names]).toEqual(expect.arrayContaining(["tfrecord", "npy", "idx", "safetensors"]));
});

describe.each(fixtures)("$path", ({ format, shard, columns, rows }) => {
  const contents = shard.paths.map((path) => new Uint8Array(readFileSync(path)));

  test("read in order, some rows at a time, is its samples", () => {
    const meant = bySamples(open(format, shard, contents), columns, rows);
    for (const step of [1, 2, rows + 3]) {
      const source = open(format, shard, contents).columns!(columns)!;
      const into = emptyRows(columns, rows + step);
      let row = 0;
      for (let count = step; count === step; row += count) count = source.next(into, row, step);
      expect(row).toBe(rows);
      expect(
        shown({ columns: into.columns.map((data, c) => firstRows(data, columns[c]!, rows)), keys: into.keys }),
      ).toEqual(meant);
    }
  });

  test("read by number, over and over in any order, is its samples", () => {
    const reader = open(format, shard, contents);
    const source = reader.columns!(columns)!;
    const samples = Array.from({ length: rows }, (_, record) => rowShown(reader.read(record), columns));
    const random = new RandomStream(deriveKey(7));
    for (let round = 0; round < 40; round++) {
      const records = Array.from({ length: 5 }, () => random.below(rows));
      const into = emptyRows(columns, 6);
      expect(source.read(records, into, 1)).toBe(5);
      expect(into.keys).toEqual(records.map((record) => samples[record]?.key));
      for (const [i, record] of records.entries()) {
        expect(into.columns.map((data, c) => rowHex(data, columns[c]!, i + 1))).toEqual(samples[record]?.columns);
      }
    }
    expect(() => source.read([rows], emptyRows(columns, 1), 0)).toThrow(RangeError);
    expect(() => source.read([-1], emptyRows(columns, 1), 0)).toThrow(RangeError);
  });

  test("damaged, is the same data or the same error as its samples", () => {
    const random = new RandomStream(deriveKey(11));
    for (let i = 0; i < DRAWN_FLIPS + DRAWN_CUTS; i++) {
      const file = random.below(contents.length);
      const damaged = contents.map((bytes) => bytes.slice());
      const byte = random.below(damaged[file]!.length);
      if (i < DRAWN_FLIPS) damaged[file]![byte]! ^= 1 << random.below(8);
      else damaged[file] = damaged[file]!.subarray(0, byte);
      const meant = outcome(() => bySamples(open(format, shard, damaged), columns, rows));
      const found = outcome(() => {
        const source = open(format, shard, damaged).columns?.(columns);
        if (!source) return undefined; // Other columns now: they are read as samples.
        const into = emptyRows(columns, rows);
        source.next(into, 0, rows);
        return shown(into);
      });
      if (found.value || found.error) expect(found).toEqual(meant);
    }
  });
});

async function columnFixtures(format: Format): Promise<Fixture[]> {
  const folder = `fixtures/${format.name}`;
  const names = readdirSync(folder).filter((name) => name.endsWith(SUFFIX));
  const found: Fixture[] = [];
  for (const name of names) {
    const path = `${folder}/${name.slice(0, -SUFFIX.length)}`;
    if (!existsSync(path)) continue;
    const { shards } = await findDataset(path, { format: format.name });
    const [shard] = shards;
    if (!shard || shard.paths.some((file) => compressionOf(readFileSync(file).subarray(0, 4096)))) continue;
    const contents = shard.paths.map((file) => new Uint8Array(readFileSync(file)));
    const reader = open(format, shard, contents);
    const [first] = reader.count() > 0 ? [reader.read(0)] : [];
    const columns = first ? columnsOf(first) : [];
    if (typeof columns === "string" || columns.length === 0 || !reader.columns?.(columns)) continue;
    const rows = reader.count();
    const isUniform = !outcome(() => bySamples(open(format, shard, contents), columns, rows)).error;
    if (isUniform) found.push({ path, format, shard, columns, rows });
  }
  return found;
}

function open(format: Format, shard: ShardFiles, contents: readonly Uint8Array[]): ShardReader {
  const sources = contents.map((bytes, i) => new MemorySource(shard.paths[i] ?? shard.name, bytes));
  return format.open(sources, {}, shard.name);
}

interface FilledRows {
  readonly columns: ReturnType<typeof zeros>["data"][];
  readonly keys: string[];
}

function emptyRows(columns: readonly ColumnSpec[], rows: number): FilledRows {
  return { columns: columns.map(({ dtype, shape }) => zeros(dtype, [rows, ...shape]).data), keys: [] };
}

function shown({ columns, keys }: FilledRows): { readonly keys: string[]; readonly data: string[] } {
  return { keys, data: columns.map((data) => Buffer.from(bytesOf(data)).toString("hex")) };
}

function bySamples(reader: ShardReader, columns: readonly ColumnSpec[], rows: number): ReturnType<typeof shown> {
  const into = emptyRows(columns, rows);
  let row = 0;
  for (const sample of reader.samples()) {
    if (row === rows) break;
    if (!copySampleRow(sample, columns, into.columns, row++)) throw otherColumns(sample, columns);
    into.keys.push(sample.key);
  }
  return shown(into);
}

function rowShown(
  sample: Sample,
  columns: readonly ColumnSpec[],
): { readonly key: string; readonly columns: string[] } {
  const into = emptyRows(columns, 1);
  copySampleRow(sample, columns, into.columns, 0);
  return { key: sample.key, columns: shown(into).data };
}

function firstRows(data: FilledRows["columns"][number], { shape }: ColumnSpec, rows: number): typeof data {
  return data.subarray(0, rows * shape.reduce((product, size) => product * size, 1));
}

function rowHex(data: FilledRows["columns"][number], { shape }: ColumnSpec, row: number): string {
  const length = shape.reduce((product, size) => product * size, 1);
  return Buffer.from(bytesOf(data.subarray(row * length, (row + 1) * length))).toString("hex");
}

function outcome<T>(action: () => T): { readonly value?: T; readonly error?: string } {
  try {
    return { value: action() };
  } catch (error) {
    if (error instanceof KdataError) return { error: `${error.code}: ${error.message}` };
    throw error;
  }
}
