import fc from "fast-check";
import { expect, test } from "vitest";
import { KdataError } from "../../src/core/errors.ts";
import type { Features } from "../../src/core/sample.ts";
import { tensor, zeros, type Tensor } from "../../src/core/tensor.ts";
import { maskedCrc32c } from "../../src/readers/crc32c.ts";
import { ExampleColumns } from "../../src/readers/example-columns.ts";
import { planExample, writeExample } from "../../src/readers/example-encoder.ts";
import { ExampleRun } from "../../src/readers/example-run.ts";
import { resolveFeatures, type FeatureSelection } from "../../src/readers/feature-spec.ts";
import type { ColumnSpec, ReadOptions } from "../../src/readers/format.ts";
import { copySampleRow, otherColumns } from "../../src/readers/row-copy.ts";
import { ResidentSource } from "../../src/readers/resident-source.ts";
import { MemorySource } from "../../src/readers/source-memory.ts";
import { tfrecord } from "../../src/readers/tfrecord.ts";
import { messages } from "./example-messages.ts";
import { openBytes } from "./shards.ts";

const columns: readonly ColumnSpec[] = [
  { name: "x", dtype: "float32", shape: [3] },
  { name: "y", dtype: "int64", shape: [2] },
];

test.each<[string, FeatureSelection | undefined]>([
  ["of all features", undefined],
  ["of named features", ["y", "x"]],
  ["of a spec", { x: { dtype: "float32", shape: [3] }, y: { dtype: "int64", shape: [2] } }],
])("records read as columns %s, in order and by number, are their samples or the same error", (_what, features) => {
  const options = features === undefined ? {} : { features };
  let [whole, failed] = [0, 0];
  fc.assert(
    fc.property(fc.array(messages, { minLength: 1, maxLength: 4 }), (parts) => {
      const file = recordsOf(parts);
      const meant = bySamples(file, columns, parts.length, options);
      expect(byColumns(file, columns, parts.length, options)).toEqual(meant);
      if (typeof meant === "string") {
        failed++;
        return;
      }
      whole++;
      const into = emptyRows(columns, parts.length);
      const source = openBytes(tfrecord, file, "a.tfrecord", options).columns!(columns)!;
      expect(source.read(Array.from(parts.keys()), into, 0)).toBe(parts.length);
      expect(shown(into)).toEqual(meant);
    }),
    { numRuns: 1500 },
  );
  expect(whole).toBeGreaterThan(50);
  expect(failed).toBeGreaterThan(50);
});

test("the kernel itself takes the records of the common form, up to the first one that is not", () => {
  const parts = manyMessages(9);
  parts[6] = Buffer.concat([parts[6]!, Buffer.from([0x48, 1])]);
  const file = recordsOf(parts);
  const decoder = new ExampleColumns(columns, resolveFeatures(["x", "y"]));
  decoder.into(emptyRows(columns, 9));
  const run = new ExampleRun(decoder, new ResidentSource(new MemorySource("a.tfrecord", file)), "a/", 1 << 20);
  const keys: string[] = [];
  expect(run.decode({ record: 0, position: 0, end: file.length, row: 0, rows: 9 }, keys)).toBe(6);
  expect(keys).toEqual(["a/0", "a/1", "a/2", "a/3", "a/4", "a/5"]);
  expect(run.endOf(5)).toBe(recordsOf(parts.slice(0, 6)).length);
  const behind = run.endOf(5) + parts[6].length + 16;
  expect(run.decode({ record: 7, position: behind, end: file.length, row: 7, rows: 2 }, keys)).toBe(2);
});

test("a bit flipped anywhere, or a cut, is the same error as in samples, at the same place", () => {
  const file = recordsOf(manyMessages(4));
  for (let bit = 0; bit < 8 * file.length; bit++) {
    const flipped = Buffer.from(file);
    flipped[bit >>> 3]! ^= 1 << (bit & 7);
    const meant = bySamples(flipped, columns, 4);
    expect(meant).toBeTypeOf("string");
    expect(byColumns(flipped, columns, 4)).toBe(meant);
  }
  for (let length = 0; length < file.length; length++) {
    const cut = file.subarray(0, length);
    expect(byColumns(cut, columns, 4)).toEqual(bySamples(cut, columns, 4));
  }
});

test("two shards read in turns, larger than the kernel's window, stay apart", () => {
  const layout: ColumnSpec[] = [
    { name: "image", dtype: "uint8", shape: [40, 50] },
    { name: "label", dtype: "int16", shape: [] },
  ];
  const files = [0, 1].map((seed) => recordsOf(Array.from({ length: 600 }, (_, i) => imageMessage(seed, i, 2000))));
  const meant = files.map((file) => bySamples(file, layout, 600));
  const intos = files.map(() => emptyRows(layout, 600));
  const sources = files.map((file) => openBytes(tfrecord, file, "a.tfrecord").columns!(layout)!);
  for (let row = 0; row < 600; row += 75) {
    sources.forEach((source, i) => {
      expect(source.next(intos[i]!, row, 75)).toBe(75);
    });
  }
  expect(intos.map(shown)).toEqual(meant);
});

test("records longer than the kernel's window, records with a key and records in two orders are mixed freely", () => {
  const layout: ColumnSpec[] = [{ name: "x", dtype: "int64", shape: [1] }];
  const long = Buffer.alloc(700_000, "long");
  const parts = Array.from({ length: 60 }, (_, i) => {
    const features: Features = { x: tensor("int64", [1], BigInt64Array.of(BigInt(i) ** 9n)) };
    if (i % 20 === 7) features["other"] = long;
    return messageOf(features, i % 3 === 0 ? `key ${i}` : `a/${i}`);
  });
  const file = recordsOf(parts);
  const options = { features: ["x"] };
  expect(byColumns(file, layout, 60, options)).toEqual(bySamples(file, layout, 60, options));
});

/** The rows as hex and the keys, read as columns; or the message of the error. */
function byColumns(file: Uint8Array, layout: readonly ColumnSpec[], rows: number, options?: ReadOptions): unknown {
  return outcome(() => {
    const into = emptyRows(layout, rows);
    openBytes(tfrecord, file, "a.tfrecord", options).columns!(layout)!.next(into, 0, rows);
    return shown(into);
  });
}

function bySamples(file: Uint8Array, layout: readonly ColumnSpec[], rows: number, options?: ReadOptions): unknown {
  return outcome(() => {
    const into = emptyRows(layout, rows);
    let row = 0;
    for (const sample of openBytes(tfrecord, file, "a.tfrecord", options).samples()) {
      if (!copySampleRow(sample, layout, into.columns, row++)) throw otherColumns(sample, layout);
      into.keys.push(sample.key);
    }
    return shown(into);
  });
}

function outcome(action: () => unknown): unknown {
  try {
    return action();
  } catch (error) {
    if (error instanceof KdataError) return `${error.code}: ${error.message}`;
    throw error;
  }
}

function emptyRows(layout: readonly ColumnSpec[], rows: number): { columns: Tensor["data"][]; keys: string[] } {
  return { columns: layout.map(({ dtype, shape }) => zeros(dtype, [rows, ...shape]).data), keys: [] };
}

function shown({ columns: data, keys }: ReturnType<typeof emptyRows>): unknown {
  return { keys, data: data.map((column) => Buffer.from(column.buffer).toString("hex")) };
}

function manyMessages(count: number): Buffer[] {
  return Array.from({ length: count }, (_, i) =>
    messageOf(
      {
        x: tensor("float32", [3], Float32Array.of(i, -i, Math.PI)),
        y: tensor("int64", [2], BigInt64Array.of(BigInt(i) << 40n, -1n)),
      },
      `a/${i}`,
    ),
  );
}

function imageMessage(seed: number, record: number, byteLength: number): Buffer {
  const image = Uint8Array.from({ length: byteLength }, (_, i) => i * (record + 3) + seed);
  const label = tensor("int16", [], Int16Array.of(seed - record));
  return messageOf({ image: tensor("uint8", [40, 50], image), label }, `a/${record}`);
}

function messageOf(features: Features, key: string): Buffer {
  const record = Number(key.startsWith("a/") ? key.slice(2) : 0);
  const plan = planExample({ key, origin: { source: "a.tfrecord", record }, features });
  const bytes = Buffer.alloc(plan.byteLength);
  writeExample(plan, bytes, 0);
  return bytes;
}

/** A TFRecord file of messages. */
function recordsOf(parts: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    parts.flatMap((message) => {
      const header = Buffer.alloc(12);
      header.writeUInt32LE(message.length, 0);
      header.writeUInt32LE(maskedCrc32c(new DataView(header.buffer, header.byteOffset, 8)), 8);
      const checksum = Buffer.alloc(4);
      checksum.writeUInt32LE(maskedCrc32c(new DataView(message.buffer, message.byteOffset, message.length)));
      return [header, message, checksum];
    }),
  );
}
