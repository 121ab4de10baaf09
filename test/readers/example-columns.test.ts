import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import type { Features } from "../../src/core/sample.ts";
import { tensor, zeros, type Tensor } from "../../src/core/tensor.ts";
import { ExampleColumns } from "../../src/readers/example-columns.ts";
import { planExample, writeExample } from "../../src/readers/example-encoder.ts";
import { applySpecs } from "../../src/readers/example-spec.ts";
import { ExampleDecoder } from "../../src/readers/example.ts";
import { resolveFeatures, type FeatureSelection } from "../../src/readers/feature-spec.ts";
import type { ColumnSpec } from "../../src/readers/format.ts";
import { copySampleRow } from "../../src/readers/row-copy.ts";
import { tfrecord } from "../../src/readers/tfrecord.ts";
import { messages } from "./example-messages.ts";
import { exampleType } from "./example-type.ts";
import { describeSample } from "./expected.ts";
import { errorOf, openBytes } from "./shards.ts";

const Example = exampleType(true);
const ROWS = 3;

const columns: readonly ColumnSpec[] = [
  { name: "x", dtype: "float32", shape: [3] },
  { name: "y", dtype: "int64", shape: [2] },
];

test.each<[string, FeatureSelection | undefined]>([
  ["of all features", undefined],
  ["of named features", ["y", "x"]],
  ["of a spec", { x: { dtype: "float32", shape: [3] }, y: { dtype: "int64", shape: [null] } }],
])("columns %s are what the general decoder gives, or left to it", (_what, selection) => {
  const wanted = selection === undefined ? undefined : resolveFeatures(selection);
  const fast = new ExampleColumns(columns, wanted);
  const general = new ExampleDecoder(wanted);
  let taken = 0;
  let left = 0;
  fc.assert(
    fc.property(messages, fc.nat(7), fc.nat(ROWS - 1), (message, shift, row) => {
      const bytes = new Uint8Array(message.length + shift + 5).fill(0xee);
      bytes.set(message, shift);
      const view = new DataView(bytes.buffer);
      const found = rowsOf(columns);
      fast.into({ columns: found.map(({ data }) => data) });
      if (!fast.decode(bytes, view, shift, shift + message.length, row)) {
        left++;
        return;
      }
      taken++;
      const at = { source: "a.tfrecord", record: 0 };
      const cursor = { bytes, view, position: shift, end: shift + message.length, ...at, origin: 0 };
      const { key, features } = general.decode(cursor);
      expect(fast.hasKey ? fast.key(bytes, at) : undefined).toBe(key);
      const meant = rowsOf(columns);
      const sample = { key: "", origin: at, features: wanted ? applySpecs(features, wanted, at) : features };
      expect(
        copySampleRow(
          sample,
          columns,
          meant.map(({ data }) => data),
          row,
        ),
      ).toBe(true);
      expect(found.map(bits)).toEqual(meant.map(bits));
      expect(protobufjsRow(message)).toEqual(found.map(({ data }, i) => rowOf(data, row, columns[i]!)));
    }),
    { numRuns: 3000 },
  );
  expect(taken).toBeGreaterThan(300);
  expect(left).toBeGreaterThan(300);
});

test("what protobufjs encodes is of the common form, whatever the order of the names", () => {
  const fast = new ExampleColumns(columns, undefined);
  const found = rowsOf(columns);
  fast.into({ columns: found.map(({ data }) => data) });
  fc.assert(
    fc.property(
      fc.array(fc.float(), { minLength: 3, maxLength: 3 }),
      fc.array(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n), { minLength: 2, maxLength: 2 }),
      fc.boolean(),
      (x, y, isForward) => {
        const entries: [string, object][] = [
          ["x", { floatList: { value: x } }],
          ["y", { int64List: { value: y.map(String) } }],
        ];
        const feature = Object.fromEntries(isForward ? entries : entries.reverse());
        const encoded = new Uint8Array(Example.encode(Example.fromObject({ features: { feature } })).finish());
        expect(fast.decode(encoded, new DataView(encoded.buffer), 0, encoded.length, 1)).toBe(true);
        expect(rowOf(found[0]!.data, 1, columns[0]!)).toEqual([...Float32Array.from(x)]);
        expect(rowOf(found[1]!.data, 1, columns[1]!)).toEqual(y);
      },
    ),
  );
});

test("every dtype and shape that notes give back is read as columns", () => {
  const features: Features = {
    image: tensor("uint8", [2, 2], Uint8Array.of(1, 2, 3, 255)),
    label: tensor("uint8", [], Uint8Array.of(200)),
    small: tensor("int8", [], Int8Array.of(-128)),
    flag: tensor("bool", [3], Uint8Array.of(1, 0, 1)),
    wide: tensor("uint32", [2], Uint32Array.of(2 ** 32 - 1, 0)),
    low: tensor("int32", [1], Int32Array.of(-(2 ** 31))),
    half: tensor("float16", [2], Uint16Array.of(0x3c00, 0x7e01)),
    double: tensor("float64", [], Float64Array.of(Math.PI)),
    matrix: tensor("float32", [2, 1], Float32Array.of(1.5, NaN)),
    scalar: tensor("int64", [], BigInt64Array.of(-(2n ** 63n))),
  };
  const plan = planExample({ key: "a key", origin: { source: "a.tfrecord", record: 0 }, features });
  const bytes = new Uint8Array(plan.byteLength);
  writeExample(plan, bytes, 0);
  const layout = Object.entries(features as Record<string, Tensor>).map(([name, { dtype, shape }]) => ({
    name,
    dtype,
    shape,
  }));
  const fast = new ExampleColumns(layout, undefined);
  const found = rowsOf(layout);
  fast.into({ columns: found.map(({ data }) => data) });
  expect(fast.decode(bytes, new DataView(bytes.buffer), 0, bytes.length, 2)).toBe(true);
  expect(fast.key(bytes, { source: "" })).toBe("a key");
  for (const [i, column] of layout.entries()) {
    expect(rowOf(found[i]!.data, 2, column), column.name).toEqual([...(features[column.name] as Tensor).data]);
  }
  // Another layout than the notes say is left to the general decoder.
  const other = layout.map((column) => (column.name === "image" ? { ...column, shape: [4] } : column));
  const wrong = new ExampleColumns(other, undefined);
  wrong.into({ columns: found.map(({ data }) => data) });
  expect(wrong.decode(bytes, new DataView(bytes.buffer), 0, bytes.length, 0)).toBe(false);
});

test("a shard's columns are its samples: in order, and by number in any order", () => {
  const bytes = readFileSync("fixtures/tfrecord/rows.tfrecord");
  const reader = openBytes(tfrecord, bytes, "rows.tfrecord");
  const layout: ColumnSpec[] = [
    { name: "x", dtype: "float32", shape: [4] },
    { name: "y", dtype: "int64", shape: [1] },
  ];
  const x = new Float32Array(5 * 4);
  const y = new BigInt64Array(5);
  const source = reader.columns!(layout)!;
  const inOrder: unknown[] = [];
  const keys: string[] = [];
  for (let count = 5; count === 5;) {
    count = source.next({ columns: [x, y], keys }, 0, 5);
    for (let row = 0; row < count; row++) inOrder.push([...x.subarray(4 * row, 4 * row + 4), y[row]]);
  }
  const samples = Array.from(reader.samples(), ({ key, features }) => {
    return { key, row: [...(features["x"] as Tensor).data, ...(features["y"] as Tensor).data] };
  });
  expect(inOrder).toEqual(samples.map(({ row }) => row));
  expect(keys).toEqual(samples.map(({ key }) => key));
  for (const records of [
    [4, 5, 6, 2, 3],
    [11, 0],
    [7, 7, 8],
  ]) {
    expect(source.read(records, { columns: [x, y] }, 0)).toBe(records.length);
    records.forEach((record, row) => {
      expect([...x.subarray(4 * row, 4 * row + 4), y[row]]).toEqual(samples[record]!.row);
    });
  }
  expect(() => source.read([12], { columns: [x, y] }, 0)).toThrow(RangeError);
});

test("a record with other features stops the reading by number, and is an error in order", () => {
  const bytes = readFileSync("fixtures/tfrecord/kinds.tfrecord");
  const reader = openBytes(tfrecord, bytes, "kinds.tfrecord");
  const source = reader.columns!(columns)!;
  const into = { columns: rowsOf(columns).map(({ data }) => data) };
  expect(source.read([0, 1], into, 0)).toBe(0);
  const error = errorOf(() => source.next(into, 0, 1));
  expect(error).toMatchObject({ code: "shape", at: { source: "kinds.tfrecord", record: 0 } });
});

test("a damaged record read as a column is the same error as read as a sample", () => {
  const bytes = readFileSync("fixtures/tfrecord/rows.tfrecord");
  const layout: ColumnSpec[] = [
    { name: "x", dtype: "float32", shape: [4] },
    { name: "y", dtype: "int64", shape: [1] },
  ];
  for (let bit = 0; bit < 8 * 300; bit += 3) {
    const flipped = Buffer.from(bytes);
    flipped[bit >>> 3]! ^= 1 << (bit & 7);
    const sample = errorOf(() => Array.from(openBytes(tfrecord, flipped, "a.tfrecord").samples(), describeSample));
    const column = errorOf(() => {
      const into = { columns: [new Float32Array(4 * 12), new BigInt64Array(12)] };
      openBytes(tfrecord, flipped, "a.tfrecord").columns!(layout)!.next(into, 0, 12);
    });
    expect(column.message).toBe(sample.message);
  }
});

function rowsOf(layout: readonly ColumnSpec[]): Tensor[] {
  return layout.map(({ dtype, shape }) => zeros(dtype, [ROWS, ...shape]));
}

function rowOf(data: Tensor["data"], row: number, { shape }: ColumnSpec): unknown[] {
  const length = shape.reduce((product, size) => product * size, 1);
  return [...data.subarray(row * length, (row + 1) * length)];
}

function bits({ data }: Tensor): string {
  return Buffer.from(data.buffer).toString("hex");
}

/** The row as protobufjs understands the message. */
function protobufjsRow(message: Uint8Array): unknown[][] {
  const { features } = Example.toObject(Example.decode(message), { longs: String, arrays: true }) as {
    features: { feature: Record<string, { floatList?: { value: number[] }; int64List?: { value: string[] } }> };
  };
  const { x, y } = features.feature;
  return [x?.floatList?.value ?? [], (y?.int64List?.value ?? []).map(BigInt)];
}
