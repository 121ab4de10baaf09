// Holds gradients to finite differences on the reference backend.
import { expect } from "vitest";
import { elementCount } from "../../src/core/tensor.ts";
import { gradient } from "../../src/trainer/gradient.ts";
import { Graph, type Sym } from "../../src/trainer/graph.ts";
import * as ops from "../../src/trainer/ops.ts";
import { elements, evaluate, float32 } from "./evaluate.ts";

const STEP = 2 ** -7; // the differences of float32 values are exact enough, and the third derivative small enough

/** A function whose gradient is checked. */
export interface Checked {
  readonly shapes: readonly (readonly number[])[];
  readonly build: (...inputs: Sym[]) => Sym;
  /** Brings a number of [-1, 1] to where the function is smooth. */
  readonly domain?: (value: number) => number;
}

/** Holds the gradient of `sum(weights * build(inputs))` by every input element to a central difference. */
export async function checkGradient({ shapes, build, domain = (value) => value }: Checked): Promise<void> {
  const graph = new Graph();
  const inputs = shapes.map((shape, i) => graph.input(`x${i}`, shape, "float32"));
  const result = build(...inputs);
  const weights = spread(elementCount(result.shape), 3).map((value) => value + 0.1);
  const loss = ops.sum(ops.mul(result, graph.constant(float32(result.shape, weights))));
  const gradients = gradient(loss, inputs);
  const values = shapes.map((shape, i) => float32(shape, spread(elementCount(shape), i).map(domain)));
  const feeds = inputs.map((input, i) => [input, values[i]!] as const);
  const found = await evaluate(gradients, feeds);

  async function weighted(): Promise<number> {
    const outputs = await elements(result, feeds);
    return outputs.reduce((sum, value, i) => sum + value * Math.fround(weights[i]!), 0);
  }
  for (const [i, { data }] of values.entries()) {
    expect(found[i]!.shape).toEqual(shapes[i]);
    for (let place = 0; place < data.length; place++) {
      const value = data[place]!;
      data[place] = value + STEP;
      const above = { at: data[place]!, loss: await weighted() };
      data[place] = value - STEP;
      const below = { at: data[place]!, loss: await weighted() };
      data[place] = value;
      const wanted = (above.loss - below.loss) / (above.at - below.at);
      expect(Math.abs(found[i]!.data[place]! - wanted)).toBeLessThan(1e-3 * (1 + Math.abs(wanted)));
    }
  }
}

/** Distinct numbers in (-1, 1), none closer to another of the same list than `1 / count`, in an order that jumps about. */
export function spread(count: number, seed: number): number[] {
  const stride = [1, 3, 7, 11, 13, 17].find((candidate, i) => i >= (seed % 3) + 1 && gcd(candidate, count) === 1) ?? 1;
  return Array.from({ length: count }, (_, i) => (2 * ((i * stride + seed) % count) + 1) / count - 1 + seed * 0.013);
}

function gcd(a: number, b: number): number {
  return b === 0 ? a : gcd(b, a % b);
}
