import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { elementCount } from "../../src/core/tensor.ts";
import { Graph, type Sym } from "../../src/trainer/graph.ts";
import * as ops from "../../src/trainer/ops.ts";
import { elements, evaluate, float32, int32 } from "./evaluate.ts";

function constant(shape: readonly number[], values: readonly number[], graph = new Graph()): Sym {
  return graph.constant(float32(shape, values));
}

async function close(output: Sym, wanted: readonly number[], digits = 6): Promise<void> {
  const found = await elements(output);
  expect(found).toHaveLength(wanted.length);
  for (const [i, value] of found.entries()) expect(value).toBeCloseTo(wanted[i]!, digits);
}

describe("elementwise operations", () => {
  const graph = new Graph();
  const a = constant([2, 2], [1, -2, 3, 0.5], graph);
  const b = constant([2], [2, -4], graph);

  test("arithmetic broadcasts and rounds once to float32", async () => {
    expect(await elements(ops.add(a, b))).toEqual([3, -6, 5, -3.5]);
    expect(await elements(ops.sub(a, b))).toEqual([-1, 2, 1, 4.5]);
    expect(await elements(ops.mul(a, b))).toEqual([2, 8, 6, -2]);
    expect(await elements(ops.div(a, b))).toEqual([0.5, 0.5, 1.5, -0.125]);
    expect(await elements(ops.max(a, b))).toEqual([2, -2, 3, 0.5]);
    expect(await elements(ops.min(a, b))).toEqual([1, -4, 2, -4]);
    expect(await elements(ops.neg(a))).toEqual([-1, 2, -3, -0.5]);
    expect(await elements(ops.abs(a))).toEqual([1, 2, 3, 0.5]);
    expect(await elements(ops.square(a))).toEqual([1, 4, 9, 0.25]);
    expect(await elements(ops.add(ops.reshape(b, [2, 1]), b))).toEqual([4, -2, -2, -8]);
    expect(await elements(ops.add(constant([], [0.1]), 0.2))).toEqual([
      Math.fround(Math.fround(0.1) + Math.fround(0.2)),
    ]);
  });

  test("int32 wraps around and divides nowhere", async () => {
    const i = graph.constant(int32([3], [2 ** 31 - 1, -7, 65537]));
    expect(await elements(ops.add(i, 1))).toEqual([-(2 ** 31), -6, 65538]);
    expect(await elements(ops.mul(i, 65537))).toEqual([
      Math.imul(2 ** 31 - 1, 65537),
      -7 * 65537,
      Math.imul(65537, 65537),
    ]);
    expect(await elements(ops.neg(i))).toEqual([-(2 ** 31 - 1), 7, -65537]);
    expect(await elements(ops.min(i, 0))).toEqual([0, -7, 0]);
    expect(await elements(ops.sum(i))).toEqual([(2 ** 31 - 1 - 7 + 65537) | 0]);
  });

  test("exp, log, sqrt, tanh and sigmoid agree with values of Abramowitz and Stegun", async () => {
    await close(ops.exp(constant([3], [0, 1, -1])), [1, 2.718281828, 0.367879441]);
    await close(ops.log(constant([3], [1, 2, 10])), [0, 0.693147181, 2.302585093]);
    await close(ops.sqrt(constant([2], [2, 9])), [1.414213562, 3]);
    await close(ops.tanh(constant([3], [0, 0.5, -1])), [0, 0.462117157, -0.761594156]);
    await close(ops.sigmoid(constant([3], [0, 1, -1000])), [0.5, 0.731058579, 0]);
  });

  test("erf agrees with the table of Abramowitz and Stegun, 7.1, to float32's precision", async () => {
    const wanted = [0, 0.112462916, 0.5204998778, 0.8427007929, -0.9661051465, 0.995322265, 0.9999779095, 1, -1];
    await close(ops.erf(constant([9], [0, 0.1, 0.5, 1, -1.5, 2, 3, 4, -9])), wanted, 7);
  });

  test("gelu is x times the normal distribution function", async () => {
    await close(ops.gelu(constant([4], [-1, 0, 1, 2])), [-0.158655254, 0, 0.841344746, 1.954499736]);
    expect(await elements(ops.relu(constant([3], [-1, 0, 2])))).toEqual([0, 0, 2]);
  });

  test("a NaN goes through max and relu instead of vanishing", async () => {
    expect(await elements(ops.relu(constant([2], [NaN, -1])))).toEqual([NaN, 0]);
    expect(await elements(ops.reduceMax(constant([2], [NaN, -1])))).toEqual([NaN]);
  });

  test("comparisons give bool, which where and cast take", async () => {
    const [greater] = await evaluate([ops.greater(a, 0.5)]);
    expect(greater).toMatchObject({ dtype: "bool", data: Uint8Array.of(1, 0, 1, 0) });
    expect(await elements(ops.greaterEqual(a, 0.5))).toEqual([1, 0, 1, 1]);
    expect(await elements(ops.equal(a, 3))).toEqual([0, 0, 1, 0]);
    expect(await elements(ops.where(ops.greater(a, 0), a, b))).toEqual([1, -4, 3, 0.5]);
    expect(await elements(ops.cast(ops.greater(a, 0), "float32"))).toEqual([1, 0, 1, 1]);
    expect(await elements(ops.cast(constant([4], [1.9, -1.9, 0, -0.4]), "int32"))).toEqual([1, -1, 0, 0]);
    expect(await elements(ops.cast(constant([3], [0, -0.25, NaN]), "bool"))).toEqual([0, 1, 1]);
  });
});

describe("shape operations", () => {
  const graph = new Graph();
  const x = constant([2, 3], [1, 2, 3, 4, 5, 6], graph);

  test("move elements to where numpy moves them", async () => {
    expect(await elements(ops.transpose(x))).toEqual([1, 4, 2, 5, 3, 6]);
    expect(await elements(ops.transpose(ops.reshape(x, [1, 3, 2]), [2, 0, 1]))).toEqual([1, 3, 5, 2, 4, 6]);
    expect(await elements(ops.broadcastTo(ops.reshape(constant([2], [7, 8]), [2, 1]), [2, 2, 3]))).toEqual([
      7, 7, 7, 8, 8, 8, 7, 7, 7, 8, 8, 8,
    ]);
    expect(await elements(ops.slice(x, [0, 1], [2, 3]))).toEqual([2, 3, 5, 6]);
    expect(await elements(ops.pad(x, [1, 0], [0, 1]))).toEqual([0, 0, 0, 0, 1, 2, 3, 0, 4, 5, 6, 0]);
    expect(await elements(ops.concat([x, ops.slice(x, [0, 0], [2, 1])], 1))).toEqual([1, 2, 3, 1, 4, 5, 6, 4]);
    expect(await elements(ops.concat([x, x], 0))).toEqual([1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6]);
    expect(await elements(ops.iota(graph, [2, 3], 0))).toEqual([0, 0, 0, 1, 1, 1]);
    expect(await elements(ops.iota(graph, [2, 3], 1))).toEqual([0, 1, 2, 0, 1, 2]);
  });

  test("gather takes rows, scatterAdd puts them back and adds where indices repeat", async () => {
    const indices = graph.constant(int32([3], [1, 0, 1]));
    const rows = ops.gather(x, indices);
    expect(await elements(rows)).toEqual([4, 5, 6, 1, 2, 3, 4, 5, 6]);
    expect(await elements(ops.scatterAdd(indices, rows, 3))).toEqual([1, 2, 3, 8, 10, 12, 0, 0, 0]);
    expect(await elements(ops.oneHot(graph.constant(int32([3], [2, 0, 3])), 3))).toEqual([0, 0, 1, 1, 0, 0, 0, 0, 0]);
    for (const outside of [-1, 2]) {
      const wrong = ops.gather(x, graph.constant(int32([1], [outside])));
      await expect(elements(wrong)).rejects.toMatchObject({ code: "shape" });
    }
  });
});

describe("reductions", () => {
  const graph = new Graph();
  const x = constant([2, 3], [1, 5, 3, 4, 2, 5], graph);

  test("sum, mean and reduceMax go over the axes asked for", async () => {
    expect(await elements(ops.sum(x))).toEqual([20]);
    expect(await elements(ops.sum(x, { axes: 0 }))).toEqual([5, 7, 8]);
    expect(await elements(ops.sum(x, { axes: -1, keepDims: true }))).toEqual([9, 11]);
    expect(await elements(ops.mean(x, { axes: 1 }))).toEqual([3, Math.fround(11 / 3)]);
    expect(await elements(ops.reduceMax(x, { axes: 0 }))).toEqual([4, 5, 5]);
    expect(await elements(ops.reduceMax(ops.neg(x)))).toEqual([-1]);
  });

  test("argmax takes the first of equal elements", async () => {
    expect(await elements(ops.argmax(x))).toEqual([1, 2]);
    expect(await elements(ops.argmax(constant([2, 2], [7, 7, -1, -1])))).toEqual([0, 0]);
    expect(await elements(ops.argmax(x, 0))).toEqual([1, 0, 1]);
  });

  test("softmax and logSoftmax survive large logits", async () => {
    const logits = constant([2, 3], [1000, 1001, 1002, 1, 2, 3]);
    const wanted = [0.0900305732, 0.2447284711, 0.6652409558];
    await close(ops.softmax(logits), [...wanted, ...wanted]);
    await close(ops.logSoftmax(logits), [...wanted, ...wanted].map(Math.log));
    await close(ops.logSoftmax(constant([2], [0, -200])), [0, -200]);
    await close(
      ops.softmax(ops.transpose(logits), 0),
      [0, 1, 2].flatMap((i) => [wanted[i]!, wanted[i]!]),
    );
  });

  test("matmul agrees with the definition for every transposition and batch", async () => {
    const sizes = fc.integer({ min: 1, max: 4 });
    await fc.assert(
      fc.asyncProperty(
        fc.record({ n: sizes, k: sizes, m: sizes, batch: fc.array(sizes, { maxLength: 2 }), sharedB: fc.boolean() }),
        fc.boolean(),
        fc.boolean(),
        async ({ n, k, m, batch, sharedB }, transposeA, transposeB) => {
          const aShape = [...batch, ...(transposeA ? [k, n] : [n, k])];
          const bShape = [...(sharedB ? [] : batch), ...(transposeB ? [m, k] : [k, m])];
          const a = Array.from({ length: elementCount(aShape) }, (_, i) => ((i * 7) % 11) - 5);
          const b = Array.from({ length: elementCount(bShape) }, (_, i) => ((i * 5) % 13) - 6);
          const wanted: number[] = [];
          for (let matrix = 0; matrix < elementCount(batch); matrix++) {
            const [aStart, bStart] = [matrix * n * k, sharedB ? 0 : matrix * k * m];
            for (let row = 0; row < n; row++) {
              for (let column = 0; column < m; column++) {
                let product = 0;
                for (let i = 0; i < k; i++) {
                  product +=
                    a[aStart + (transposeA ? i * n + row : row * k + i)]! *
                    b[bStart + (transposeB ? column * k + i : i * m + column)]!;
                }
                wanted.push(product);
              }
            }
          }
          const graph = new Graph();
          const product = ops.matmul(constant(aShape, a, graph), constant(bShape, b, graph), {
            transposeA,
            transposeB,
          });
          expect(product.shape).toEqual([...batch, n, m]);
          expect(await elements(product)).toEqual(wanted);
        },
      ),
      { numRuns: 60 },
    );
  });
});
