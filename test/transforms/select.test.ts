import { expect, test } from "vitest";
import { select } from "../../src/transforms/index.ts";
import { apply, sampleOf, tensorOf } from "./samples.ts";

const image = tensorOf("uint8", [2], [1, 2]);
const sample = sampleOf({ image, label: "seven", extra: new Uint8Array(1) });

test("select() renames what is named, in the order given, and drops the rest", () => {
  const { key, origin, features } = apply(select({ y: "label", x: "image" }), sample);
  expect(Object.entries(features)).toEqual([
    ["y", "seven"],
    ["x", image],
  ]);
  expect({ key, origin }).toEqual({ key: "a/5", origin: { source: "a.npy", record: 5 } });
  expect(Object.keys(sample.features)).toEqual(["image", "label", "extra"]);
});

test("select() of a list keeps the names; two new names may share one feature", () => {
  expect(Object.keys(apply(select(["label"]), sample).features)).toEqual(["label"]);
  expect(Object.keys(apply(select({ a: "image", b: "image" }), sample).features)).toEqual(["a", "b"]);
});

test("select() of a feature that is not there says what there is, where, and the nearest name", () => {
  expect(() => apply(select({ x: "imge" }), sample)).toThrow(
    expect.objectContaining({
      code: "shape",
      message: "Cannot select 'imge': the sample has only image, label, extra (a.npy, record 5)",
      hint: "did you mean 'image'?",
    }),
  );
  expect(() => apply(select(["toString"]), sample)).toThrow(expect.objectContaining({ code: "shape" }));
});

test("select() refuses no names and a name that comes twice", () => {
  expect(() => select([])).toThrow(RangeError);
  expect(() => select(["a", "a"])).toThrow(RangeError);
});
