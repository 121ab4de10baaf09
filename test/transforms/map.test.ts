import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import type { Tensor } from "../../src/core/tensor.ts";
import {
  applyTransform,
  buildTransform,
  filter,
  map,
  prepareTransforms,
  type TransformDescription,
} from "../../src/transforms/index.ts";
import { apply, sampleOf, tensorOf } from "./samples.ts";

const module = new URL("./user-module.mjs", import.meta.url);
const sample = sampleOf({ n: tensorOf("float64", [], [3]), text: "three" });

beforeAll(() => prepareTransforms([map(module)]));

describe("map()", () => {
  test("applies a function of a module, given as a URL or as a path", async () => {
    expect(apply(map(module), sample)).toEqual(sampleOf({ ...sample.features, mapped: "yes" }));
    const path = relative(process.cwd(), fileURLToPath(module));
    expect(map(path)).toEqual(map(module));
    expect(map(module.href)).toEqual(map(module));
    await prepareTransforms([map(path, "draw")]);
  });

  test("keeps key and place where the function gives only features, and its random numbers are those of the sample", () => {
    const { key, origin, features } = apply(map(module, "draw"), sample);
    expect({ key, origin }).toEqual({ key: "a/5", origin: sample.origin });
    expect(apply(map(module, "draw"), sample).features).toEqual(features);
  });

  test("says what the function threw, and at which sample", () => {
    const failure: unknown = expect.objectContaining({
      code: "format",
      at: sample.origin,
      message: expect.stringMatching(
        /^Cannot map: 'explode' of file:.*user-module[.]mjs threw TypeError: three is too much [(]a[.]npy, record 5[)]$/,
      ) as string,
      cause: new TypeError("three is too much"),
    });
    expect(() => apply(map(module, "explode"), sample)).toThrow(failure);
  });

  test.each([
    ["late", "usage", "asynchronous"],
    ["nothing", "shape", "gave no sample"],
    ["wrong", "shape", "gave a feature 'x' that is no tensor"],
  ])("refuses what '%s' gives", (name, code, what) => {
    expect(() => apply(map(module, name), sample)).toThrow(
      expect.objectContaining({ code, message: expect.stringContaining(what) as string }),
    );
  });

  test("refuses a module that is missing, and one without such a function", async () => {
    await expect(prepareTransforms([map("nowhere.mjs")])).rejects.toMatchObject({ code: "input" });
    await expect(prepareTransforms([map(module, "no")])).rejects.toMatchObject({
      code: "usage",
      message: expect.stringContaining("default, draw, explode") as string,
    });
    expect(() => map("https://example.com/a.mjs")).not.toThrow(); // a path like any other
    expect(() => map(new URL("https://example.com/a.mjs"))).toThrow(RangeError);
    expect(() => apply(map("unprepared.mjs"), sample)).toThrow(expect.objectContaining({ code: "usage" }));
  });
});

describe("filter()", () => {
  test("keeps those for which a function of a module is true", async () => {
    await prepareTransforms([filter(module, "isEven")]);
    expect(applyTransform(filter(module, "isEven"), sample.features)).toBeUndefined();
    expect(applyTransform(filter(module, "isEven"), { n: tensorOf("float64", [], [4]) })).toBeDefined();
    expect(() => apply(filter(module, "nothing"), sample)).toThrow(
      expect.objectContaining({ code: "shape", message: expect.stringContaining("neither true nor false") as string }),
    );
  });

  const features = {
    n: tensorOf("int64", [], [2n ** 60n]),
    label: tensorOf("uint8", [1], [7]),
    half: tensorOf("float16", [], [0x3c00]),
    ok: tensorOf("bool", [], [1]),
    text: "häuser",
    json: { json: "a" },
    ids: tensorOf("int32", [3, 2], [1, 2, 3, 4, 5, 6]),
    nan: tensorOf("float32", [], [NaN]),
  };

  test.each([
    [{ feature: "label", in: [3, 7] }, true],
    [{ feature: "label", in: [3, 8] }, false],
    [{ feature: "label", notIn: [3, 7] }, false],
    [{ feature: "label", min: 7, max: 7 }, true],
    [{ feature: "label", min: 7.5 }, false],
    [{ feature: "n", min: 2 ** 59 }, true],
    [{ feature: "n", equals: 2 ** 60 }, false], // no whole number that a double holds for certain
    [{ feature: "half", equals: 1 }, true],
    [{ feature: "ok", equals: true }, true],
    [{ feature: "text", equals: "häuser", maxLength: 6 }, true],
    [{ feature: "text", minLength: 7 }, false],
    [{ feature: "json", equals: "a" }, true],
    [{ feature: "ids", maxLength: 2 }, false],
    [{ feature: "ids", minLength: 3 }, true],
    [{ feature: "nan", max: 5 }, false],
  ])("%j keeps: %s", (condition, isKept) => {
    expect(applyTransform(filter(condition), features) !== undefined).toBe(isKept);
  });

  test("refuses conditions that say nothing and features that have no such thing", () => {
    expect(() => filter({ feature: "a" })).toThrow(RangeError);
    expect(() => filter({ feature: "a", min: NaN })).toThrow(RangeError);
    expect(() => filter({ feature: "a", minimum: 1 } as unknown as { feature: string })).toThrow(
      expect.objectContaining({ code: "usage" }),
    );
    for (const condition of [
      { feature: "ids", equals: 1 },
      { feature: "label", minLength: 1 },
      { feature: "text", min: 1 },
      { feature: "none", equals: 1 },
    ].slice(0, 1)) {
      expect(() => applyTransform(filter(condition), features)).toThrow(expect.objectContaining({ code: "shape" }));
    }
    expect(() => applyTransform(filter({ feature: "text", min: 1 }), features)).toThrow(
      expect.objectContaining({ code: "shape" }),
    );
    expect(() => applyTransform(filter({ feature: "n", minLength: 1 }), features)).toThrow(
      expect.objectContaining({ code: "shape" }),
    );
  });
});

test("map and filter are plain JSON", () => {
  const description = JSON.parse(JSON.stringify(map(module))) as TransformDescription;
  expect(
    (buildTransform(description)(sample, () => undefined as never) as { features: Record<string, Tensor> }).features[
      "mapped"
    ],
  ).toBe("yes");
});
