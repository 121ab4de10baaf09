import { expect, test } from "vitest";
import { elementJson, featureText, sampleJson } from "../../src/cli/describe.ts";
import { featureRow, summarizeFeatures } from "../../src/cli/feature-summary.ts";
import { sniffMedia } from "../../src/cli/media.ts";
import { emptyFeatures, type Feature, type Sample } from "../../src/core/sample.ts";
import { tensor } from "../../src/core/tensor.ts";

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (character) => character.charCodeAt(0));

// A baseline JPEG up to its frame header, behind an APP0 segment: 48 wide, 32 high, 3 components.
const jpeg = ascii("\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08\x00\x20\x00\x30\x03\x01\x22\x00");
const png = ascii("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x07\x00\x00\x00\x05\x08\x00\x00\x00\x00");

function sample(features: Record<string, Feature>, record = 0): Sample {
  return {
    key: `train-000/${record}`,
    origin: { source: "train-000.tfrecord", record },
    features: Object.assign(emptyFeatures(), features),
  };
}

test("a sample is the line that the documentation shows", () => {
  const line = JSON.stringify(
    sampleJson(sample({ "image/encoded": jpeg, "image/class": tensor("int64", [1], BigInt64Array.of(7n)) })),
  );
  expect(line).toMatch(
    /^\{"__key__":"train-000\/0","image\/encoded":\{"\$bytes":21,"media":"image\/jpeg","crc32c":"[0-9a-f]{8}"\},"image\/class":\[7\]\}$/,
  );
});

test("the checksum is the CRC-32C of RFC 3720, B.4", () => {
  expect(sampleJson(sample({ zeros: new Uint8Array(32) }))["zeros"]).toEqual({ $bytes: 32, crc32c: "8a9136aa" });
});

test("small tensors are numbers and nested arrays, large ones are described", () => {
  const json = sampleJson(
    sample({
      scalar: tensor("uint8", [], Uint8Array.of(7)),
      matrix: tensor("int32", [2, 3], Int32Array.of(1, 2, 3, 4, 5, 6)),
      empty: tensor("float32", [0], new Float32Array(0)),
      flags: tensor("bool", [2], Uint8Array.of(0, 1)),
      image: tensor("uint8", [4, 8], new Uint8Array(32)),
    }),
  );
  expect(json).toEqual({
    __key__: "train-000/0",
    scalar: 7,
    matrix: [
      [1, 2, 3],
      [4, 5, 6],
    ],
    empty: [],
    flags: [false, true],
    image: { $tensor: "uint8", shape: [4, 8], crc32c: "8a9136aa" },
  });
});

test("numbers that JSON has not are strings, floats the shortest decimals", () => {
  const int64 = tensor("int64", [3], BigInt64Array.of(2n ** 53n - 1n, 2n ** 53n, -(2n ** 63n)));
  expect([0, 1, 2].map((i) => elementJson(int64, i))).toEqual([
    2 ** 53 - 1,
    "9007199254740992",
    "-9223372036854775808",
  ]);
  const float32 = tensor("float32", [5], Float32Array.of(0.1, 1e-45, NaN, -Infinity, 16777216));
  expect([0, 1, 2, 3, 4].map((i) => elementJson(float32, i))).toEqual([0.1, 1e-45, "NaN", "-Infinity", 16777216]);
  const float16 = tensor("float16", [4], Uint16Array.of(0x2e66, 0x7bff, 0x0001, 0xfc00));
  expect([0, 1, 2, 3].map((i) => elementJson(float16, i))).toEqual([0.099976, 65504, 5.9605e-8, "-Infinity"]);
  expect(elementJson(tensor("bfloat16", [], Uint16Array.of(0x3f80)), 0)).toBe(1);
});

test("a feature named __proto__ is a feature like any other", () => {
  const features = emptyFeatures();
  features["__proto__"] = "x";
  expect(JSON.stringify(sampleJson({ ...sample({}), features }))).toBe('{"__key__":"train-000/0","__proto__":"x"}');
});

test("features are described in a few words", () => {
  expect(featureText(jpeg)).toBe("jpeg 48×32 rgb, 21 B");
  expect(featureText(ascii("a dog"))).toBe('"a dog", 5 B');
  expect(featureText(Uint8Array.of(0, 255))).toBe("binary, 2 B");
  expect(featureText([ascii("a"), ascii("bcd")])).toBe("2 items of 1–3 B");
  expect(featureText("x".repeat(100))).toBe(`"${"x".repeat(39)}…"`);
  expect(featureText({ json: { a: [1] } })).toBe('{"a":[1]}');
  expect(featureText(tensor("int64", [1], BigInt64Array.of(7n)))).toBe("7");
  expect(featureText(tensor("uint8", [28, 28], new Uint8Array(784)))).toBe("uint8 28×28 [0, 0, 0, 0, …]");
});

test("media types and pictures are recognised by content, however short", () => {
  expect(sniffMedia(png)).toEqual({ type: "image/png", detail: "7×5 gray" });
  for (const whole of [jpeg, png, ascii("GIF89a\x01\x00\x01\x00")]) {
    for (let length = 0; length < whole.length; length++) {
      expect(() => sniffMedia(whole.subarray(0, length))).not.toThrow();
    }
  }
});

test("a summary has sizes, ranges, shapes and shares over all samples", () => {
  const summary = summarizeFeatures();
  summary.add(sample({ image: jpeg, label: tensor("int64", [1], BigInt64Array.of(7n)) }));
  summary.add(
    sample({
      image: png,
      label: tensor("int64", [1], BigInt64Array.of(0n)),
      box: tensor("float32", [2, 4], new Float32Array(8)),
    }),
  );
  summary.add(
    sample({
      image: png,
      label: tensor("int64", [2], BigInt64Array.of(9n, 3n)),
      box: tensor("float32", [1, 4], Float32Array.of(0.125, 1, 2, NaN)),
    }),
  );
  const reports = summary.reports();
  expect(reports.map((report) => featureRow(report, 3))).toEqual([
    ["image", "bytes", "1  (21–29 B)", "jpeg|png", "100%", "48×32 rgb"],
    ["label", "int64", "1–2", "0..9", "100%", "7"],
    ["box", "float32", "1–2×4", "0..2", "67%", "[0, 0, 0, 0, …]"],
  ]);
  expect(reports[1]).toEqual({
    name: "label",
    seen: 3,
    kinds: ["tensor"],
    dtypes: ["int64"],
    shape: [{ min: 1, max: 2 }],
    media: [],
    values: { min: 0, max: 9 },
    example: "7",
  });
});

test("tensors of different ranks have no common shape", () => {
  const summary = summarizeFeatures();
  summary.add(sample({ x: tensor("uint8", [1], Uint8Array.of(1)) }));
  summary.add(sample({ x: tensor("float32", [], Float32Array.of(2.5)) }));
  expect(featureRow(summary.reports()[0]!, 2)).toEqual(["x", "uint8|float32", "varies", "1..2.5", "100%", "1"]);
});
