import { describe, expect, test } from "vitest";
import type { Feature } from "../../src/core/sample.ts";
import type { DType, Tensor } from "../../src/core/tensor.ts";
import {
  concat,
  decodeText,
  oneHot,
  pad,
  parseJson,
  rename,
  stack,
  template,
  type PadSettings,
} from "../../src/transforms/index.ts";
import { apply, sampleOf, tensorOf } from "./samples.ts";

const shapeError: unknown = expect.objectContaining({ code: "shape", at: { source: "a.npy", record: 5 } });

describe("pad()", () => {
  const matrix = tensorOf("int64", [2, 3], [1, 2, 3, 4, 5, 6]);
  const padded = (settings: PadSettings, x: Feature = matrix) => apply(pad("x", settings), sampleOf({ x })).features;

  test.each([
    ["behind", { length: 3 }, [3, 3], [1, 2, 3, 4, 5, 6, 0, 0, 0]],
    ["before", { length: 3, side: "left", value: -1 }, [3, 3], [-1, -1, -1, 1, 2, 3, 4, 5, 6]],
    ["to a multiple", { multipleOf: 4, axis: 1 }, [2, 4], [1, 2, 3, 0, 4, 5, 6, 0]],
    ["to nothing more", { multipleOf: 3, axis: 1 }, [2, 3], [1, 2, 3, 4, 5, 6]],
    ["cut at the end", { length: 2, axis: 1, truncate: "right" }, [2, 2], [1, 2, 4, 5]],
    ["cut at the start", { length: 1, truncate: "left" }, [1, 3], [4, 5, 6]],
  ] as const)("%s", (_what, settings, shape, elements) => {
    expect(padded(settings)["x"]).toEqual(tensorOf("int64", shape, elements));
  });

  test("marks what is data, on the side where it is", () => {
    const x = tensorOf("float32", [2], [1, 2]);
    expect(padded({ length: 4, mask: "m" }, x)["m"]).toEqual(tensorOf("int32", [4], [1, 1, 0, 0]));
    expect(padded({ length: 4, mask: "m", side: "left" }, x)["m"]).toEqual(tensorOf("int32", [4], [0, 0, 1, 1]));
    expect(padded({ length: 1, mask: "m", truncate: "right" }, x)["m"]).toEqual(tensorOf("int32", [1], [1]));
  });

  test.each([
    ["float16", 1, 0x3c00],
    ["bfloat16", 1, 0x3f80],
    ["float32", NaN, NaN],
    ["uint64", 7, 7n],
    ["bool", 1, 1],
  ] as [DType, number, number | bigint][])("fills %s with %s", (dtype, value, element) => {
    const { data } = padded({ length: 1, value }, tensorOf(dtype, [0], []))["x"] as Tensor;
    expect(data[0]).toBe(element);
  });

  test("refuses what is too long, has no such axis, and a value that the dtype does not hold", () => {
    for (const settings of [{ length: 1 }, { length: 4, axis: 2 }, { length: 4, value: 0.5 }]) {
      expect(() => padded(settings)).toThrow(shapeError);
    }
    expect(() => padded({ length: 4, value: 300 }, tensorOf("uint8", [1], [1]))).toThrow(shapeError);
    expect(() => padded({ length: 4 }, "text")).toThrow(shapeError);
    expect(() => pad("x", {})).toThrow(RangeError);
    expect(() => pad("x", { length: 0 })).toThrow(RangeError);
    expect(() => pad("x", { lenght: 3 } as PadSettings)).toThrow(
      expect.objectContaining({ code: "usage", hint: "did you mean 'length'?" }),
    );
  });
});

describe("oneHot()", () => {
  test("adds an axis, of every integer dtype", () => {
    for (const dtype of ["int64", "uint8", "int32"] as const) {
      const { y } = apply(oneHot("y", 3), sampleOf({ y: tensorOf(dtype, [2], [2, 0]) })).features;
      expect(y).toEqual(tensorOf("float32", [2, 3], [0, 0, 1, 1, 0, 0]));
    }
    expect(apply(oneHot("y", 2), sampleOf({ y: tensorOf("bool", [], [1]) })).features["y"]).toEqual(
      tensorOf("float32", [2], [0, 1]),
    );
  });

  test("smooths", () => {
    const { y } = apply(oneHot("y", 4, { smoothing: 0.1 }), sampleOf({ y: tensorOf("int32", [], [1]) })).features;
    const rest = Math.fround(0.025);
    expect([...(y as Tensor<"float32">).data]).toEqual([rest, Math.fround(0.925), rest, rest]);
  });

  test("refuses what is no class", () => {
    for (const y of [tensorOf("int64", [], [-1]), tensorOf("uint64", [], [2n ** 63n]), tensorOf("float32", [], [1])]) {
      expect(() => apply(oneHot("y", 3), sampleOf({ y }))).toThrow(shapeError);
    }
    expect(() => oneHot("y", 0)).toThrow(RangeError);
    expect(() => oneHot("y", 2, { smoothing: 2 })).toThrow(RangeError);
  });
});

describe("rename()", () => {
  test("keeps the order and what is not named, and swaps", () => {
    const sample = sampleOf({ a: "1", b: "2", c: "3" });
    expect(Object.entries(apply(rename({ b: "x" }), sample).features)).toEqual([
      ["a", "1"],
      ["x", "2"],
      ["c", "3"],
    ]);
    expect(apply(rename({ a: "b", b: "a" }), sample).features).toEqual(sampleOf({ b: "1", a: "2", c: "3" }).features);
  });

  test("refuses two features of one name, and none", () => {
    expect(() => apply(rename({ a: "b" }), sampleOf({ a: "1", b: "2" }))).toThrow(shapeError);
    expect(() => apply(rename({ a: "b" }), sampleOf({ c: "1" }))).toThrow(shapeError);
    expect(() => rename({})).toThrow(RangeError);
    expect(() => rename({ a: "x", b: "x" })).toThrow(RangeError);
  });
});

describe("concat() and stack()", () => {
  const a = tensorOf("int32", [2, 2], [1, 2, 3, 4]);
  const b = tensorOf("int32", [2, 1], [5, 6]);

  test("join along an axis that there is, and along a new one", () => {
    expect(apply(concat(["a", "b"], "x", { axis: 1 }), sampleOf({ a, t: "t", b })).features).toEqual(
      sampleOf({ t: "t", x: tensorOf("int32", [2, 3], [1, 2, 5, 3, 4, 6]) }).features,
    );
    expect(apply(stack(["a", "a"], "a", { axis: 2 }), sampleOf({ a })).features["a"]).toEqual(
      tensorOf("int32", [2, 2, 2], [1, 1, 2, 2, 3, 3, 4, 4]),
    );
    expect(apply(stack(["a", "a"], "x"), sampleOf({ a })).features["x"]).toEqual(
      tensorOf("int32", [2, 2, 2], [1, 2, 3, 4, 1, 2, 3, 4]),
    );
  });

  test("refuse what does not fit", () => {
    const scalar = tensorOf("int32", [], [1]);
    const floats = tensorOf("float32", [2, 2], [1, 2, 3, 4]);
    const sample = sampleOf({ a, b, scalar, floats });
    for (const description of [
      concat(["a", "b"], "x"),
      concat(["a", "floats"], "x"),
      concat(["scalar"], "x"),
      stack(["a", "b"], "x"),
      stack(["scalar", "scalar"], "x", { axis: 1 }),
      stack(["a", "none"], "x"),
    ]) {
      expect(() => apply(description, sample)).toThrow(shapeError);
    }
    expect(() => stack([], "x")).toThrow(RangeError);
  });
});

describe("text", () => {
  test("decodeText() reads UTF-8 and refuses what is none", () => {
    expect(apply(decodeText("x"), sampleOf({ x: Buffer.from("häuser") })).features["x"]).toBe("häuser");
    expect(apply(decodeText("x"), sampleOf({ x: "already" })).features["x"]).toBe("already");
    expect(() => apply(decodeText("x"), sampleOf({ x: Uint8Array.of(0xc3) }))).toThrow(
      expect.objectContaining({ code: "format", at: { source: "a.npy", record: 5 } }),
    );
    expect(() => apply(decodeText("x"), sampleOf({ x: tensorOf("int8", [], [1]) }))).toThrow(shapeError);
  });

  test("parseJson() gives the value, or fields of it", () => {
    const x = '{"a": [1], "b": 2.5, "c": true, "d": "e"}';
    expect(apply(parseJson("x"), sampleOf({ x: Buffer.from(x) })).features["x"]).toEqual({
      json: JSON.parse(x) as unknown,
    });
    expect(
      apply(parseJson("x", { fields: { x: "a", n: "b", c: "c", d: "d" } }), sampleOf({ x, k: "k" })).features,
    ).toEqual(
      sampleOf({ k: "k", x: { json: [1] }, n: tensorOf("float64", [], [2.5]), c: tensorOf("bool", [], [1]), d: "e" })
        .features,
    );
    expect(() => apply(parseJson("x"), sampleOf({ x: "{" }))).toThrow(expect.objectContaining({ code: "format" }));
    for (const value of ["{}", "[1]", "null"]) {
      expect(() => apply(parseJson("x", { fields: ["a"] }), sampleOf({ x: value }))).toThrow(shapeError);
    }
  });

  test("template() writes values into a template, with doubled braces for braces", () => {
    const sample = sampleOf({ a: "$&", n: tensorOf("int64", [], [2n ** 60n]), ok: tensorOf("bool", [], [0]) });
    expect(apply(template("t", "{a}: {n} {{{ok}}}"), sample).features["t"]).toBe(`$&: ${2n ** 60n} {false}`);
    for (const text of ["{", "a}", "{a}}", "{}"]) expect(() => template("t", text)).toThrow(RangeError);
    expect(() => apply(template("t", "{none}"), sample)).toThrow(shapeError);
    expect(() => apply(template("t", "{x}"), sampleOf({ x: tensorOf("int8", [2], [1, 2]) }))).toThrow(shapeError);
  });
});
