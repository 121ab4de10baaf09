import { describe, expect, test } from "vitest";
import type { Sample } from "../../src/core/sample.ts";
import {
  buildTransform,
  cast,
  chainTransforms,
  decodeRaw,
  normalize,
  reshape,
  select,
  type Pipeline,
  type Transform,
  type TransformDescription,
} from "../../src/transforms/index.ts";
import { sampleOf, tensorOf } from "./samples.ts";

/** A transform that notes what it draws. */
function drawing(into: string): Transform {
  return (sample, random) => ({
    ...sample,
    features: { ...sample.features, [into]: tensorOf("float64", [], [random().uniform()]) },
  });
}

function drawn(sample: Sample): readonly unknown[] {
  return Object.values(sample.features).map((feature) => (feature as { data: Float64Array }).data[0]);
}

function kept(chain: Pipeline): (...args: Parameters<Pipeline>) => Sample {
  return (...args) => chain(...args)!;
}

describe("chainTransforms()", () => {
  const chain = kept(chainTransforms([drawing("a"), drawing("b")], 7));

  test("draws the same for one (seed, epoch, record), in whatever order it is asked", () => {
    const first = drawn(chain(sampleOf({}), 0, 3));
    chain(sampleOf({}), 0, 4);
    expect(drawn(chain(sampleOf({}), 0, 3))).toEqual(first);
  });

  test("draws other numbers at another place, record, epoch and seed", () => {
    const other = kept(chainTransforms([drawing("a"), drawing("b")], 8));
    const all = [
      chain(sampleOf({}), 0, 3),
      chain(sampleOf({}), 0, 4),
      chain(sampleOf({}), 1, 3),
      other(sampleOf({}), 0, 3),
    ];
    expect(new Set(all.flatMap(drawn)).size).toBe(8);
  });

  test("ends with the transform that filters a sample out, and times each one up to it", () => {
    const never: Transform = () => {
      throw new TypeError("asked for a sample that was filtered out");
    };
    const chain = chainTransforms([drawing("a"), () => undefined, never], 7);
    const times = new Float64Array(3);
    expect(chain(sampleOf({}), 0, 0, times)).toBeUndefined();
    expect(times[0]).toBeGreaterThan(0);
    expect(times[2]).toBe(0);
  });
});

test("every transform is plain JSON: what is built from its text does the same", () => {
  const descriptions = [
    select({ x: "raw" }),
    decodeRaw("x", { dtype: "uint8", shape: [4] }),
    reshape("x", [2, 2]),
    normalize("x", { scale: 0.5, mean: [0, 1] }),
    cast("x", "int32"),
  ];
  const run = (given: readonly TransformDescription[]) =>
    chainTransforms(given.map(buildTransform), 0)(sampleOf({ raw: new Uint8Array([2, 4, 6, 8]) }), 0, 0)!.features["x"];
  const parsed = JSON.parse(JSON.stringify(descriptions)) as TransformDescription[];
  expect(run(parsed)).toEqual(tensorOf("int32", [2, 2], [1, 1, 3, 3]));
  expect(run(parsed)).toEqual(run(descriptions));
});

test("buildTransform() refuses a name it does not know and says the nearest", () => {
  const description = { transform: "normalise", feature: "x" } as unknown as TransformDescription;
  expect(() => buildTransform(description)).toThrow(
    expect.objectContaining({
      code: "usage",
      message: expect.stringMatching(
        /^Cannot build transform 'normalise': the transforms are bucketByLength, cache, cast, .*, select, stack, template, tokenize$/,
      ) as string,
      hint: "did you mean 'normalize'?",
    }),
  );
});
