// Cases that Keras computed (fixtures/generators/training.py), and how their numbers are read and compared.
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { tensor } from "../../src/core/tensor.ts";
import type { HostTensor } from "../../src/trainer/backend.ts";

/** A tensor as a case holds it; infinity and NaN are strings. */
export interface CaseTensor {
  readonly dtype: "float32" | "int32";
  readonly shape: readonly number[];
  readonly data: readonly (number | string)[];
}

/** Reads the cases of one kind. */
export function readCases<T>(name: string): T[] {
  return JSON.parse(readFileSync(`fixtures/training/${name}.json`, "utf8")) as T[];
}

/** Makes the tensor of a case. */
export function tensorOf({ dtype, shape, data }: CaseTensor): HostTensor {
  const numbers = data.map(Number);
  return dtype === "int32"
    ? tensor(dtype, shape, Int32Array.from(numbers))
    : tensor(dtype, shape, Float32Array.from(numbers));
}

/** Expects numbers that differ by no more than a share of their size, or of 1 where they are smaller. */
export function expectNear(found: ArrayLike<number>, wanted: ArrayLike<number | string>, share: number): void {
  expect(found.length).toBe(wanted.length);
  for (let i = 0; i < wanted.length; i++) {
    const want = Number(wanted[i]);
    const isNear = Object.is(found[i], want) || Math.abs(found[i]! - want) <= share * Math.max(1, Math.abs(want));
    if (!isNear) expect.fail(`element ${i} is ${found[i]}, Keras has ${want}`);
  }
}
