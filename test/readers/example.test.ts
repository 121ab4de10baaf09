import fc from "fast-check";
import { expect, test } from "vitest";
import { defaultKey, type Feature, type Features, type JsonValue, type Sample } from "../../src/core/sample.ts";
import { dtypes, tensor, zeros, type DType, type Tensor } from "../../src/core/tensor.ts";
import { ExampleDecoder } from "../../src/readers/example.ts";
import { planExample, writeExample } from "../../src/readers/example-encoder.ts";
import { exampleType } from "./example-type.ts";
import { describeSample } from "./expected.ts";
import { errorOf } from "./shards.ts";

const [Example, ExampleUnpacked] = [exampleType(true), exampleType(false)];

/** A Feature as protobufjs gives it; without values it may leave them out. */
type Kind =
  | { bytesList: { value?: Uint8Array[] } }
  | { floatList: { value?: number[] } }
  | { int64List: { value?: (bigint | string)[] } }
  | Record<string, never>;

const kinds: fc.Arbitrary<Kind> = fc.oneof(
  fc.record({ bytesList: fc.record({ value: fc.array(fc.uint8Array({ maxLength: 20 })) }) }),
  fc.record({ floatList: fc.record({ value: fc.array(fc.float()) }) }),
  fc.record({ int64List: fc.record({ value: fc.array(fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)) }) }),
  fc.constant({}),
);
/** protobufjs leaves `__proto__` out; a fixture has it. */
const names = fc
  .string({ unit: "grapheme", maxLength: 10 })
  .filter((name) => !["__schema__", "__key__", "__proto__"].includes(name));

test.each([
  ["packed", Example],
  ["unpacked", ExampleUnpacked],
])("what protobufjs encodes %s is decoded to the same lists", (_what, type) => {
  const decoder = new ExampleDecoder();
  fc.assert(
    fc.property(fc.dictionary(names, kinds), fc.nat(7), (written, shift) => {
      const feature = mapValues(written, toProtobufjs);
      const encoded = type.encode(type.fromObject({ features: { feature } })).finish();
      const read = decode(encoded, decoder, shift).features;
      expect(describe(read)).toEqual(describe(mapValues(written, featureOf)));
    }),
  );
});

test("what is encoded is decoded by protobufjs to the same lists", () => {
  fc.assert(
    fc.property(fc.dictionary(names, kinds), (written) => {
      const meant = mapValues(written, featureOf);
      const decoded = Example.toObject(Example.decode(encode(sampleOf(meant))), { longs: String });
      const { features } = decoded as { features: { feature?: Record<string, object> } };
      const read = mapValues(features.feature ?? {}, (kind) => featureOf(kind as Kind));
      expect(describe(read)).toEqual(describe(meant));
    }),
  );
});

const shapes = fc.array(fc.nat(3), { maxLength: 3 });
const tensors: fc.Arbitrary<Tensor> = fc
  .tuple(fc.constantFrom(...dtypes), shapes, fc.infiniteStream(fc.nat(255)))
  .map(([dtype, shape, bytes]) => tensorOfBytes(dtype, shape, bytes));
const features: fc.Arbitrary<Feature> = fc.oneof(
  tensors,
  fc.uint8Array({ maxLength: 20 }),
  fc.array(fc.uint8Array({ maxLength: 5 }), { maxLength: 3 }),
  fc.string({ unit: "grapheme" }),
  fc.jsonValue({ noUnicodeString: false }).map((value) => ({ json: JSON.parse(JSON.stringify(value)) as JsonValue })),
);

test("every kind of feature, every dtype and any key come back as they were", () => {
  const decoder = new ExampleDecoder();
  const origin = { source: "a.tfrecord", record: 3 };
  const keys = fc.oneof(fc.constant(defaultKey(origin)), fc.string({ unit: "grapheme" }));
  fc.assert(
    fc.property(keys, fc.dictionary(names, features), fc.nat(7), (key, written, shift) => {
      const sample = { key, origin, features: written };
      const read = decode(encode(sample), decoder, shift);
      expect(describeSample({ key: read.key ?? defaultKey(origin), origin, features: read.features })).toEqual(
        describeSample(sample),
      );
    }),
    { numRuns: 300 },
  );
});

test("equal samples give equal bytes, whatever the order of their features", () => {
  const forward: Features = { a: "x", b: Uint8Array.of(1), "10": "y", "9": "z" };
  const backward = Object.fromEntries(Object.entries(forward).reverse());
  expect(encode(sampleOf(backward))).toEqual(encode(sampleOf(forward)));
});

test("__schema__ is written only where a list alone does not say what the feature was", () => {
  const natural = { a: Uint8Array.of(1), b: [], c: vector("float32", [1]), d: int64s([1]) };
  expect(Buffer.from(encode(sampleOf(natural))).includes("__schema__")).toBe(false);
  const noted = encode(sampleOf({ s: "x", l: [Uint8Array.of(1)], a: { ...vector("int32", [1]), shape: [] } }));
  expect(Buffer.from(noted).includes('{"a":["int32",[]],"l":"list","s":"string"}')).toBe(true);
  expect(Buffer.from(noted).includes("__key__")).toBe(false);
});

test.each<[string, Features]>([
  ["a reserved name", { __key__: "x" }],
  ["half a surrogate pair", { x: "\ud800" }],
  ["NaN in JSON", { x: { json: [NaN] } }],
  ["minus zero in JSON", { x: { json: { a: -0 } } }],
])("%s is refused on writing, with sample and feature named", (_what, written) => {
  const error = errorOf(() =>
    planExample({ key: "k/1", origin: { source: "a.tfrecord", record: 0 }, features: written }),
  );
  expect(error.code).toBe("shape");
  expect(error.message).toMatch(/^Cannot write tfrecord: sample "k\/1", feature "(x|__key__)"/);
});

test.each<[string, string, number]>([
  ["a tag that is cut off", "0a80", 1],
  ["a length over the end", "0a05", 1],
  ["a length of more than 32 bits", "0affffffffff01", 1],
  ["field number 0", "0200", 0],
  ["a wire type that does not exist", "0f", 1],
  ["the end of a group that did not begin", "0c", 1],
  ["a group without its end", "0b", 1],
  ["a group with another end", "0b14", 1],
  ["a name that is not UTF-8", "0a050a030a01ff", 6],
  ["packed floats of five bytes", "0a0b0a0912071205" + "0a03000000", 10],
  ["an unpacked float that is cut off", "0a090a0712051203" + "0d0000", 9],
  ["packed int64s that are cut off", "0a090a0712051a03" + "0a0180", 10],
  ["an int64 of eleven bytes", "0a140a121210" + "1a0e0a0c" + "ffffffffffffffffffff0101".slice(0, 24), 10],
  ["an int64 of 65 bits", "0a120a10120e1a0c0a0a" + "ffffffffffffffffff02", 10],
  ["an unknown varint of eleven bytes", "48ffffffffffffffffffffff01", 1],
])("%s is a format error with its byte", (_what, hex, byte) => {
  const bytes = Buffer.from(hex, "hex");
  expect(errorOf(() => decode(bytes))).toMatchObject({
    code: "format",
    at: { source: "a.tfrecord", record: 3, byte: 100 + byte },
  });
});

test("any bytes decode to features or end in a format error", () => {
  const decoder = new ExampleDecoder();
  const outcomes = { decoded: 0, refused: 0 };
  const valid = Buffer.from(encode(sampleOf({ a: int64s([1, -1]), b: vector("float32", [1, 2]), c: "x", d: [] })));
  for (let at = 0; at < valid.length; at++) {
    for (let value = 0; value < 256; value++) {
      const bytes = Buffer.from(valid);
      bytes[at] = value;
      try {
        decode(bytes, decoder);
        outcomes.decoded++;
      } catch (error) {
        expect(error).toMatchObject({ name: "KdataError", code: "format" });
        outcomes.refused++;
      }
    }
  }
  expect(outcomes.decoded).toBeGreaterThan(1000);
  expect(outcomes.refused).toBeGreaterThan(1000);
});

test.each<[string, string, Kind]>([
  ["that is no JSON", "{", { bytesList: { value: [] } }],
  ["that is no object", "[]", { bytesList: { value: [] } }],
  ["of no known form", '{"x":"tensor"}', { bytesList: { value: [] } }],
  ["of a negative size", '{"x":["int32",[-1]]}', { int64List: { value: [] } }],
  ["of a feature that is not there", '{"y":"list"}', { bytesList: { value: [] } }],
  ["of text for a list of two", '{"x":"string"}', { bytesList: { value: [Uint8Array.of(65), Uint8Array.of(65)] } }],
  ["of text that is not UTF-8", '{"x":"string"}', { bytesList: { value: [Uint8Array.of(0xff)] } }],
  ["of another number of elements", '{"x":["int32",[2]]}', { int64List: { value: [1n] } }],
  ["of another number of bytes", '{"x":["float64",[2]]}', { bytesList: { value: [new Uint8Array(15)] } }],
  ["of another list", '{"x":["float32",[1,1]]}', { int64List: { value: [1n] } }],
  ["of numbers out of range", '{"x":["uint8",[]]}', { int64List: { value: [256n] } }],
  ["of a bool that is 2", '{"x":["bool",[1]]}', { int64List: { value: [2n] } }],
])("a note %s is a format error", (_what, schema, kind) => {
  const feature = { __schema__: { bytesList: { value: [Buffer.from(schema)] } }, x: toProtobufjs(kind) };
  const encoded = Example.encode(Example.fromObject({ features: { feature } })).finish();
  expect(errorOf(() => decode(encoded))).toMatchObject({ code: "format", at: { source: "a.tfrecord", record: 3 } });
});

function encode(sample: Sample): Uint8Array {
  const plan = planExample(sample);
  const target = new Uint8Array(plan.byteLength + 3).fill(0xaa);
  expect(writeExample(plan, target, 2)).toBe(plan.byteLength + 2);
  expect([target[0], target[1], target.at(-1)]).toEqual([0xaa, 0xaa, 0xaa]);
  return target.subarray(2, -1);
}

/** Decodes a message that lies at any alignment. */
function decode(encoded: Uint8Array, decoder = new ExampleDecoder(), shift = 0): ReturnType<ExampleDecoder["decode"]> {
  const bytes = new Uint8Array(encoded.length + shift);
  bytes.set(encoded, shift);
  const view = new DataView(bytes.buffer);
  const place = { source: "a.tfrecord", record: 3, origin: 100 - shift };
  return decoder.decode({ bytes, view, position: shift, end: bytes.length, ...place });
}

function sampleOf(written: Features): Sample {
  const origin = { source: "a.tfrecord", record: 0 };
  return { key: defaultKey(origin), origin, features: written };
}

function describe(written: Features): unknown {
  return describeSample(sampleOf(written));
}

function mapValues<V, W>(record: Readonly<Record<string, V>>, map: (value: V) => W): Record<string, W> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

/** fromObject() takes 64-bit numbers as decimal strings. */
function toProtobufjs(kind: Kind): object {
  return "int64List" in kind ? { int64List: { value: kind.int64List.value?.map(String) } } : kind;
}

function featureOf(kind: Kind): Feature {
  if ("floatList" in kind) return vector("float32", kind.floatList.value ?? []);
  if ("int64List" in kind) return int64s(kind.int64List.value ?? []);
  const values = "bytesList" in kind ? (kind.bytesList.value ?? []) : [];
  const [first] = values;
  return first !== undefined && values.length === 1 ? first : values;
}

function vector(dtype: "float32" | "int32", values: readonly number[]): Tensor {
  const result = zeros(dtype, [values.length]);
  result.data.set(values);
  return result;
}

function int64s(values: readonly (bigint | string | number)[]): Tensor {
  return tensor("int64", [values.length], BigInt64Array.from(values, BigInt));
}

function tensorOfBytes(dtype: DType, shape: readonly number[], bytes: Iterator<number>): Tensor {
  const result = zeros(dtype, shape);
  const memory = new Uint8Array(result.data.buffer);
  for (let i = 0; i < memory.length; i++) memory[i] = (bytes.next().value as number) & (dtype === "bool" ? 1 : 0xff);
  return result;
}
