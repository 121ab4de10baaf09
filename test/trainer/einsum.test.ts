import { describe, expect, test } from "vitest";
import { Graph } from "../../src/trainer/graph.ts";
import * as ops from "../../src/trainer/ops.ts";
import { elements, evaluate, float32, int32 } from "./evaluate.ts";

function numbers(count: number, factor: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.fround(Math.sin((i + 1) * factor)));
}

/** The sum of products as the equation says it, by counting through every letter. */
function plainEinsum(equation: string, operands: readonly { shape: number[]; data: number[] }[]): number[] {
  const [left = "", result = ""] = equation.split("->");
  const written = left.split(",");
  const sizes = new Map<string, number>();
  for (const [i, letters] of written.entries()) {
    for (const [axis, letter] of Array.from(letters).entries()) sizes.set(letter, operands[i]!.shape[axis]!);
  }
  const order = [...new Set([...Array.from(result), ...sizes.keys()])];
  const outSize = Array.from(result).reduce((n, l) => n * sizes.get(l)!, 1);
  const total = order.reduce((n, l) => n * sizes.get(l)!, 1);
  const sums = new Array<number>(outSize).fill(0);
  for (let i = 0; i < total; i++) {
    const at = new Map<string, number>();
    let rest = i;
    for (const letter of order.toReversed()) {
      at.set(letter, rest % sizes.get(letter)!);
      rest = Math.floor(rest / sizes.get(letter)!);
    }
    const place = (letters: string) => Array.from(letters).reduce((p, l) => p * sizes.get(l)! + at.get(l)!, 0);
    const product = written.reduce((p, letters, k) => p * operands[k]!.data[place(letters)]!, 1);
    sums[place(result)]! += product;
  }
  return sums;
}

describe("einsum()", () => {
  test.each([
    ["ab,bc->ac", [2, 3], [3, 4]],
    ["ab,cb->ac", [2, 3], [4, 3]],
    ["ab,bc->ca", [2, 3], [3, 4]],
    ["bqhd,bkhd->bhqk", [2, 3, 2, 4], [2, 5, 2, 4]],
    ["bhqk,bkhd->bqhd", [2, 2, 3, 5], [2, 5, 2, 4]],
    ["abc,cde->abde", [2, 3, 4], [4, 2, 3]],
    ["ab,c->acb", [2, 3], [4]],
    ["ab,ab->a", [2, 3], [2, 3]],
    ["ab,ab->ab", [2, 3], [2, 3]],
    ["ab,cd->ad", [2, 3], [4, 5]],
    ["a,a->", [5], [5]],
  ])("computes %s", async (equation, a, b) => {
    const graph = new Graph();
    const [left, right] = [
      {
        shape: a,
        data: numbers(
          a.reduce((x, y) => x * y, 1),
          1.7,
        ),
      },
      {
        shape: b,
        data: numbers(
          b.reduce((x, y) => x * y, 1),
          2.3,
        ),
      },
    ];
    const result = ops.einsum(equation, graph.constant(float32(a, left.data)), graph.constant(float32(b, right.data)));
    const found = await elements(result);
    for (const [i, wanted] of plainEinsum(equation, [left, right]).entries()) expect(found[i]).toBeCloseTo(wanted, 5);
  });

  test("lets '...' stand for axes of either operand", () => {
    const graph = new Graph();
    const x = graph.input("x", [2, 3, 4], "float32");
    const kernel = graph.input("kernel", [4, 5], "float32");
    expect(ops.einsum("...x,xy->...y", x, kernel).shape).toEqual([2, 3, 5]);
    expect(ops.einsum("...x,xy->y...", x, kernel).shape).toEqual([5, 2, 3]);
  });

  test.each([
    ["ab,bc", /not of the form/],
    ["ab->a", /not of the form/],
    ["a1,bc->ac", /other signs/],
    ["aa,bc->ac", /'aa'/],
    ["ab,bc->ad", /'d' is in neither operand/],
    ["abc,cd->ad", /has not 3 axes/],
    ["ab,ab->a", /'b' is 3 and 4|'a' is 2 and 3/],
  ])("refuses %s", (equation, message) => {
    const graph = new Graph();
    const [a, b] = [graph.input("a", [2, 3], "float32"), graph.input("b", [3, 4], "float32")];
    expect(() => ops.einsum(equation, a, b)).toThrow(message);
  });
});

describe("operations that move elements", () => {
  const graph = new Graph();
  const x = graph.constant(float32([2, 3], [1, 2, 3, 4, 5, 6]));

  test("split, stack, expandDims, squeeze, swapAxes and repeat", async () => {
    const [a, b] = ops.split(x, [1, 2]);
    expect([await elements(a!), await elements(b!)]).toEqual([
      [1, 4],
      [2, 3, 5, 6],
    ]);
    expect(ops.split(x, 2, 0).map(({ shape }) => shape)).toEqual([
      [1, 3],
      [1, 3],
    ]);
    expect(() => ops.split(x, 2)).toThrow(/not made up of 1.5 \+ 1.5/);
    expect(await elements(ops.stack([x, ops.neg(x)], -1))).toEqual([1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6]);
    expect(ops.expandDims(x, -1).shape).toEqual([2, 3, 1]);
    expect(ops.squeeze(ops.expandDims(x, 0), 0)).toBe(x);
    expect(() => ops.squeeze(x, 0)).toThrow(/not of size 1/);
    expect(() => ops.expandDims(x, 4)).toThrow(/no place/);
    expect(await elements(ops.swapAxes(x, 0, -1))).toEqual([1, 4, 2, 5, 3, 6]);
    expect(await elements(ops.repeat(x, 2))).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]);
    expect(await elements(ops.repeat(x, 2, 0))).toEqual([1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6]);
  });

  test("takeAlongAxis chooses along any axis", async () => {
    const last = graph.constant(int32([2, 2], [2, 0, 1, 1]));
    expect(await elements(ops.takeAlongAxis(x, last))).toEqual([3, 1, 5, 5]);
    const first = graph.constant(int32([1, 3], [1, 0, 1]));
    expect(await elements(ops.takeAlongAxis(x, first, 0))).toEqual([4, 2, 6]);
    expect(() => ops.takeAlongAxis(x, first, 1)).toThrow(/does not choose/);
  });

  test("causalMask lets each place see itself and what is before it", async () => {
    expect(await elements(ops.causalMask(graph, 2, 3))).toEqual([1, 0, 0, 1, 1, 0]);
  });
});

describe("composed functions", () => {
  test("pow, rsqrt, clip, comparisons and logic", async () => {
    const graph = new Graph();
    const x = graph.constant(float32([3], [-2, 0.5, 4]));
    const [cube, inverse, none, root] = [ops.pow(x, 3), ops.pow(x, -2), ops.pow(x, 0), ops.pow(x, 0.5)];
    expect(await elements(cube)).toEqual([-8, 0.125, 64]);
    expect(await elements(inverse)).toEqual([0.25, 4, 0.0625]);
    expect(await elements(none)).toEqual([1, 1, 1]);
    expect(await elements(root)).toEqual([NaN, Math.fround(Math.SQRT1_2), 2]);
    expect((await elements(ops.pow(x, 2.5)))[2]).toBeCloseTo(32, 4);
    expect((await elements(ops.rsqrt(x)))[2]).toBe(0.5);
    expect(await elements(ops.clip(x, -1, 1))).toEqual([-1, 0.5, 1]);
    const [below, upTo] = [ops.less(x, 0.5), ops.lessEqual(x, 0.5)];
    expect(await elements(below)).toEqual([1, 0, 0]);
    expect(await elements(upTo)).toEqual([1, 1, 0]);
    expect(await elements(ops.logicalAnd(upTo, ops.logicalNot(below)))).toEqual([0, 1, 0]);
  });

  test("logSumExp and variance stay finite for large numbers", async () => {
    const graph = new Graph();
    const x = graph.constant(float32([2, 2], [1000, 1000, -1000, -1002]));
    const found = await elements(ops.logSumExp(x, { axes: -1 }));
    expect(found[0]).toBeCloseTo(1000 + Math.LN2, 3);
    expect(found[1]).toBeCloseTo(-1000 + Math.log1p(Math.exp(-2)), 3);
    expect(await elements(ops.variance(x, { axes: -1 }))).toEqual([0, 1]);
  });

  test("rotaryEmbedding keeps lengths and makes products depend on the distance alone", async () => {
    const graph = new Graph();
    const q = graph.input("q", [1, 6, 1, 4], "float32");
    const turned = ops.rotaryEmbedding(q);
    const row = [0.3, -0.7, 1.1, 0.2];
    const [result] = await evaluate(
      [turned],
      [[q, float32([1, 6, 1, 4], Array.from({ length: 6 }, () => row).flat())]],
    );
    const rows = Array.from({ length: 6 }, (_, i) => Array.from(result!.data.subarray(4 * i, 4 * i + 4), Number));
    const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
    expect(rows[0]).toEqual(row.map(Math.fround));
    expect(dot(rows[1]!, rows[3]!)).toBeCloseTo(dot(rows[3]!, rows[5]!), 5);
    expect(dot(rows[4]!, rows[4]!)).toBeCloseTo(dot(row, row), 5);
    // Pair 0 is features 0 and 2, and turns by one radian a position.
    expect(rows[1]![0]).toBeCloseTo(0.3 * Math.cos(1) - 1.1 * Math.sin(1), 5);
    expect(() => ops.rotaryEmbedding(graph.input("odd", [1, 2, 1, 3], "float32"))).toThrow(/an even size/);
  });
});
