import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { ReadOptions, ShardReader } from "../../src/readers/format.ts";
import { formatSafetensorsHeader, parseSafetensorsHeader } from "../../src/readers/safetensors-header.ts";
import { safetensors } from "../../src/readers/safetensors.ts";
import { errorOf, openBytes } from "./shards.ts";

const folder = "fixtures/safetensors";
const at = { source: "a.safetensors", byte: 8 };

function fileOf(json: string, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const text = Buffer.from(json);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, data]);
}

function open(bytes: Uint8Array, options?: ReadOptions): ShardReader {
  return openBytes(safetensors, bytes, "a.safetensors", options);
}

const tensor = (start: number, end: number, shape = `[${end - start}]`) =>
  `{"dtype":"U8","shape":${shape},"data_offsets":[${start},${end}]}`;

describe("the header", () => {
  test.each(["dtypes", "scalars", "metadata", "no-rows", "notes"])(
    "of %s is formatted as the reference did",
    (name) => {
      const bytes = new Uint8Array(readFileSync(`${folder}/${name}.safetensors`));
      const length = Number(new DataView(bytes.buffer).getBigUint64(0, true));
      const header = parseSafetensorsHeader(bytes.subarray(8, 8 + length), at);
      // The reference keeps metadata in a hash map, whose order is any.
      if (header.metadata.size > 1) return;
      expect(Buffer.from(formatSafetensorsHeader(header)).toString()).toBe(
        Buffer.from(bytes.subarray(0, 8 + length)).toString(),
      );
    },
  );

  test.each([
    [` {"x":${tensor(0, 2)}}`, "does not begin"],
    [`{"x":${tensor(0, 2)}`, "no , where"],
    [`{"x":${tensor(0, 2)},}`, "no string"],
    [`{"x":${tensor(0, 2)}} x`, "follows"],
    [`{"x":${tensor(0, 2)}}\t`, "follows"],
    [`{"x":${tensor(0, 1)},"x":${tensor(1, 2)}}`, 'the name "x" is there twice'],
    [`{"x":${tensor(0, 1)},"\\u0078":${tensor(1, 2)}}`, 'the name "x" is there twice'],
    ['{"x":{"dtype":"U8","dtype":"U8","shape":[2],"data_offsets":[0,2]}}', "twice"],
    ['{"x":{"dtype":"U8","shape":[2]}}', "lacks"],
    ['{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,1,2]}}', "lacks"],
    ['{"x":{"dtype":"U8","shape":[2],"data_offsets":[0,2],"more":"x"}}', '"more"'],
    ['{"x":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}}', "no , where"],
    ['{"x":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}}', "no size"],
    ['{"x":{"dtype":"U8","shape":[02],"data_offsets":[0,2]}}', "no size"],
    ['{"x":{"dtype":"U8","shape":[1e1],"data_offsets":[0,10]}}', "no , where"],
    [`{"x":${tensor(0, 2, "[3]")}}`, "takes 3 bytes, not 2"],
    [`{"x":${tensor(2, 0, "[2]")}}`, "takes 2 bytes, not -2"],
    [`{"x":${tensor(1, 2)}}`, "hole"],
    [`{"x":${tensor(0, 1)},"y":${tensor(2, 3)}}`, "hole"],
    [`{"x":${tensor(0, 2)},"y":${tensor(1, 2)}}`, "overlaps"],
    [`{"x":${tensor(0, 1)},"y":${tensor(0, 1)}}`, "overlaps"],
    [`{"__metadata__":{"a":1},"x":${tensor(0, 2)}}`, "no string"],
    ['{"\\ud800":1}', "escape"],
    ['{"\\q":1}', "escape"],
    ["{'x':1}", "no string"],
    ["", "begin"],
  ])("%s is refused where it is wrong", (json, reason) => {
    const error = errorOf(() => open(fileOf(json, new Uint8Array(2))));
    expect(error).toMatchObject({ code: "format", at: { source: "a.safetensors" } });
    expect(error.reason).toContain(reason);
    expect(error.at!.byte!).toBeGreaterThanOrEqual(8);
  });

  test("with white space and members in any order is read", () => {
    const json =
      '{ "y" :\n{"data_offsets": [2, 4], "shape": [2], "dtype": "U8"},"x":{"shape":[1,2],"dtype":"U8","data_offsets":[0,2]}}  ';
    const { tensors } = parseSafetensorsHeader(Buffer.from(json), at);
    expect(tensors.map(({ name, shape, start }) => [name, shape, start])).toEqual([
      ["x", [1, 2], 0],
      ["y", [2], 2],
    ]);
  });
});

describe("a file that claims too much is refused before anything is allocated", () => {
  test.each([
    ["a header beyond the limit", Buffer.from("ffffffffffffff7f7b22", "hex"), "limit", undefined],
    ["a header beyond a lower limit", fileOf(`{"x":${tensor(0, 1)}}`), "limit", { headerBytes: 10 }],
    ["a header beyond the file", Buffer.from("0000010000000000" + "7b22", "hex"), "truncated", undefined],
    ["a tensor beyond the file", fileOf(`{"x":${tensor(0, 99)}}`), "truncated", undefined],
    ["a tensor beyond counting", fileOf(`{"x":${tensor(0, 0, "[0,9007199254740991,9]")}}`), "limit", undefined],
    ["a size beyond counting", fileOf(`{"x":${tensor(0, 0, "[99999999999999999999]")}}`), "limit", undefined],
    [
      "a row beyond the limit",
      fileOf(`{"x":${tensor(0, 9, "[1,9]")}}`, new Uint8Array(9)),
      "limit",
      { recordBytes: 8 },
    ],
  ] as const)("%s", (_, bytes, code, limits) => {
    const before = process.memoryUsage().arrayBuffers;
    expect(errorOf(() => open(bytes, limits ? { limits } : {}))).toMatchObject({ code });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  });
});

describe("what is no data set", () => {
  test.each([
    ["scalar", "unsupported", "no axes"],
    ["lengths", "shape", "differ in length"],
    ["float8", "unsupported", "F8_E4M3"],
  ])("%s is refused with the reason", (name, code, reason) => {
    const error = errorOf(() => open(readFileSync(`${folder}/refused/${name}.safetensors`)));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(reason)]);
  });

  test("bytes after the last tensor are refused where they begin", () => {
    const bytes = fileOf(`{"x":${tensor(0, 2)}}`, new Uint8Array(3));
    expect(errorOf(() => open(bytes))).toMatchObject({ code: "format", at: { byte: bytes.length - 1 } });
  });

  test.each([
    ['{"x":"text"}', "does not fit"],
    ['{"y":"bytes"}', "does not fit"],
    ['["x"]', "does not fit"],
    ["null", "no object"],
    ["{", "not JSON"],
  ])("the notes %s are refused", (notes, reason) => {
    const json = `{"__metadata__":{"kdata":${JSON.stringify(notes)}},"x":${tensor(0, 2, "[1,2]")}}`;
    const error = errorOf(() => open(fileOf(json, new Uint8Array(2))));
    expect([error.code, error.message]).toEqual(["format", expect.stringContaining(reason)]);
  });

  test("a string that is not UTF-8 names record and byte", () => {
    const json = `{"__metadata__":{"kdata":"{\\"x\\":\\"string\\"}"},"x":${tensor(0, 4, "[2,2]")}}`;
    const bytes = fileOf(json, Uint8Array.of(97, 0, 0xff, 0));
    const reader = open(bytes);
    expect(reader.read(0).features["x"]).toBe("a");
    expect(errorOf(() => reader.read(1))).toMatchObject({
      code: "format",
      at: { source: "a.safetensors", record: 1, byte: bytes.length - 2 },
    });
  });
});
