// What the fixtures cannot show of Parquet: damage, hostile files, projections, columns, and the row groups that kdata writes.

import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as zlib from "node:zlib";
import { afterAll, describe, expect, it } from "vitest";

import { KdataError } from "../../src/core/errors.ts";
import type { Sample } from "../../src/core/sample.ts";
import { tensor } from "../../src/core/tensor.ts";
import { readColumns } from "../../src/readers/columns.ts";
import type { ReadOptions } from "../../src/readers/format.ts";
import { parquet } from "../../src/readers/parquet.ts";
import { MemorySource } from "../../src/readers/source-memory.ts";
import { writableParquet } from "../../src/writers/parquet.ts";
import { plain, sampleOf } from "../writers/samples.ts";
import { describeSample, expectedSamples } from "./expected.ts";

const directory = mkdtempSync(join(tmpdir(), "kdata-parquet-"));
let written = 0;
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function open(bytes: Uint8Array, options?: ReadOptions) {
  return parquet.open([new MemorySource("made.parquet", bytes)], options);
}

function fixture(name: string): Uint8Array {
  return new Uint8Array(readFileSync(join("fixtures/parquet", name)));
}

function write(samples: Iterable<Sample>): Uint8Array {
  const writer = writableParquet.create(join(directory, String(written++), "made"));
  for (const sample of samples) writer.write(sample);
  return new Uint8Array(readFileSync(writer.finish().files[0]!.path));
}

function codeOf(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    if (error instanceof KdataError) return error.code;
    throw error;
  }
  return undefined;
}

describe("parquet", () => {
  it.each(readdirSync("fixtures/parquet/refused"))("refuses %s, and names the feature", (name) => {
    const reader = open(fixture(`refused/${name}`));
    expect(() => [...reader.samples()]).toThrow(/the feature "x" .*made\.parquet, record 0/);
    expect(codeOf(() => reader.read(0))).toBe("unsupported");
  });

  it("inflates zstd where Node can, and says which Node can where it cannot", () => {
    const reader = open(fixture("zstd/rows.parquet"));
    if ("zstdDecompressSync" in zlib) {
      const samples = Array.from(
        reader.samples(),
        (sample) => (describeSample(sample) as { features: unknown }).features,
      );
      expect(samples).toEqual(
        (expectedSamples("fixtures/parquet/zstd/rows.parquet") as { features: unknown }[]).map(
          ({ features }) => features,
        ),
      );
    } else {
      expect(() => reader.read(0)).toThrow(/row group 0, column "id": it is compressed with zstd, which this Node/);
    }
  });

  it("reads only the columns that are named, and suggests the nearest name", () => {
    const bytes = fixture("rows-none.parquet");
    const reader = open(bytes, { features: ["id"] });
    expect(Object.keys(reader.read(3).features)).toEqual(["id"]);
    expect(() => open(bytes, { features: ["txt"] })).toThrow(/there is no feature "txt"/);
    expect(() => open(bytes, { features: { id: { dtype: "int32", shape: [] } } })).toThrow(/has a spec/);
  });

  it("verifies the checksum of a page, and goes on with the next row group when it checks", () => {
    const bytes = fixture("pages.parquet");
    bytes[40]! ^= 1;
    const found = [...open(bytes).check()];
    const faults = found.filter((item) => "error" in item);
    expect(faults.map(({ error }) => [error.code, error.at?.record])).toEqual([["checksum", 0]]);
    expect(found).toHaveLength(100 - 40 + 1);
  });

  it("gives columns as samples are, in order and by number", () => {
    const reader = open(fixture("rows-gzip.parquet"), { features: ["id", "list"] });
    const [batch] = readColumns(reader, { rows: 12 });
    expect([...batch!.features["id"]!.data].map(Number)).toEqual(Array.from({ length: 12 }, (_, n) => n));
    expect(batch!.features["list"]!.shape).toEqual([12, 2]);
    const columns = [{ name: "id", dtype: "int32" as const, shape: [] }];
    const only = open(fixture("rows-gzip.parquet"), { features: ["id"] });
    const into = { columns: [new Int32Array(4)], keys: [] as string[] };
    expect(only.columns!(columns)!.read([11, 2, 3, 0], into, 0)).toBe(4);
    expect([[...into.columns[0]!], into.keys]).toEqual([
      [11, 2, 3, 0],
      ["made/11", "made/2", "made/3", "made/0"],
    ]);
  });

  it("stops a column at a row that is null", () => {
    const reader = open(fixture("nulls.parquet"), { features: ["int32"] });
    const into = { columns: [new Int32Array(5)] };
    const columns = [{ name: "int32", dtype: "int32" as const, shape: [] }];
    expect(reader.columns!(columns)!.read([0, 1, 2], into, 0)).toBe(1);
    expect(() => reader.columns!(columns)!.next(into, 0, 5)).toThrow(/sample made\/1 has/);
  });

  it("refuses rows that would take far more memory than the file has bytes, before it takes it", () => {
    const samples = (function* () {
      for (let row = 0; row < 300_000; row++)
        yield sampleOf(`made/${row}`, { x: tensor("int64", [], BigInt64Array.of(1n)) });
    })();
    const bytes = write(samples);
    expect(open(bytes).count()).toBe(300_000);
    const reader = open(bytes, { limits: { rowGroupBytes: 1 << 10 } });
    expect(() => reader.read(0)).toThrow(/row group 0: it would decode to more than the limit of [0-9]+ bytes/);
    expect(codeOf(() => reader.read(0))).toBe("limit");
  });

  it("holds a footer to the file", () => {
    const bytes = fixture("rows-none.parquet");
    const long = bytes.slice();
    new DataView(long.buffer).setUint32(long.length - 8, 0x7fffffff, true);
    expect(codeOf(() => open(long))).toBe("format");
    expect(codeOf(() => open(bytes.subarray(0, -1)))).toBe("truncated");
    const encrypted = bytes.slice();
    encrypted.set(Buffer.from("PARE"), bytes.length - 4);
    expect(codeOf(() => open(encrypted))).toBe("unsupported");
  });
});

describe("writableParquet", () => {
  it("keeps features that come late, go missing or change shape, over several row groups", () => {
    const rows = Array.from({ length: 60 }, (_, row) => {
      const height = 1 + (row % 3);
      return sampleOf(row % 7 === 0 ? `own/${row}` : `made/${row}`, {
        image: tensor("uint8", [height, 2, 1], new Uint8Array(2 * height).fill(row)),
        grid: tensor("float32", [2, row % 4], new Float32Array(2 * (row % 4)).fill(row)),
        raw: new Uint8Array(1_000_000).fill(row),
        ...(row > 40 && { late: "here", brain: tensor("bfloat16", [1], Uint16Array.of(row)) }),
        ...(row % 2 === 0 && { flags: tensor("bool", [9], new Uint8Array(9).fill(row % 4 === 0 ? 1 : 0)) }),
      });
    });
    const reader = open(write(rows));
    expect(Array.from(reader.samples(), plain)).toEqual(rows.map(plain));
    expect(plain(reader.read(59))).toEqual(plain(rows[59]!));
  });

  it("writes a checksum into every page: any bit of one that flips is noticed", () => {
    const bytes = write([sampleOf("made/0", { text: "one", x: tensor("float64", [2], Float64Array.of(1, 2)) })]);
    const silent: number[] = [];
    // Magic, then page headers of some twenty bytes; the values of both columns are in the file as they are.
    const at = Buffer.from(bytes).indexOf("one");
    for (let bit = 8 * at; bit < 8 * (at + 3); bit++) {
      const flipped = bytes.slice();
      flipped[bit >>> 3]! ^= 1 << (bit & 7);
      if (codeOf(() => open(flipped).read(0)) !== "checksum") silent.push(bit);
    }
    expect(silent).toEqual([]);
  });

  it("refuses a feature that changes its kind, and keeps nothing of its sample", () => {
    const writer = writableParquet.create(join(directory, "refused"));
    writer.write(sampleOf("refused/0", { x: "a" }));
    const other = sampleOf("b", { a: "new", x: Uint8Array.of(1) });
    expect(() => {
      writer.write(other);
    }).toThrow('Cannot write parquet: sample "b": feature "x" is bytes, but string in sample "refused/0"');
    const { files, records } = writer.finish();
    expect(records).toBe(1);
    const reader = open(new Uint8Array(readFileSync(files[0]!.path)));
    expect(Array.from(reader.samples(), ({ features }) => ({ ...features }))).toEqual([{ x: "a" }]);
  });
});
