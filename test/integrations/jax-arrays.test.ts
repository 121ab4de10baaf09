import * as jax from "@jax-js/jax";
import { beforeAll, expect, test } from "vitest";
import { toBatches, toJaxArrays } from "../../src/integrations/index.ts";
import { loader } from "../../src/loaders/index.ts";
import { fixture } from "../cli/run-kdata.ts";
import { collect } from "../loaders/epochs.ts";

beforeAll(async () => {
  await jax.init("wasm");
  jax.defaultDevice("wasm");
});

test("arrays of jax-js hold the numbers of the batch, which may be released", async () => {
  const rows = await loader(fixture("tfrecord/rows.tfrecord"), { batchSize: 5, workers: 1 });
  for await (const batch of rows) {
    const { x, y } = batch.features as unknown as Record<
      "x" | "y",
      { data: ArrayLike<number | bigint>; shape: number[] }
    >;
    const expected = [Array.from(x.data), x.shape, Array.from(y.data, Number)];
    const arrays = toJaxArrays(batch, jax);
    batch.release();
    expect(Object.keys(arrays)).toEqual(["x", "y"]);
    expect([arrays["x"]!.dtype, arrays["y"]!.dtype]).toEqual(["float32", "int32"]);
    const shape = arrays["x"]!.shape;
    expect([numbersOf(await arrays["x"]!.data()), shape, numbersOf(await arrays["y"]!.data())]).toEqual(expected);
  }
  await rows.close();
});

test("smaller integers, booleans, 16-bit floats and arrays without elements have a type there too", async () => {
  const [batch] = await collect(
    toBatches([
      {
        flag: { dtype: "bool", shape: [2], data: Uint8Array.of(0, 1) },
        small: Uint8Array.of(0, 255),
        big: BigUint64Array.of(0n, 2n ** 32n - 1n),
        half: { dtype: "bfloat16", shape: [2], data: Uint16Array.of(0x3f80, 0xc020) },
        none: { shape: [2, 0], data: new Float32Array(0) },
        name: ["a", "b"],
      },
    ]),
  );
  const arrays = toJaxArrays(batch!, jax);
  expect(Object.entries(arrays).map(([name, { dtype }]) => [name, dtype])).toEqual([
    ["flag", "bool"],
    ["small", "int32"],
    ["big", "uint32"],
    ["half", "float32"],
    ["none", "float32"],
  ]);
  expect(arrays["none"]!.shape).toEqual([2, 0]);
  const data = [];
  for (const name of ["flag", "small", "big", "half"]) data.push(numbersOf(await arrays[name]!.data()));
  expect(data).toEqual([
    [0, 1],
    [0, 255],
    [0, 2 ** 32 - 1],
    [1, -2.5],
  ]);
  arrays["none"]!.dispose();
  expect(() => toJaxArrays(batch!, jax, { a: "name" })).toThrow("'a' is of strings");
});

test("refuses integers beyond 32 bits", async () => {
  const [batch] = await collect(toBatches([{ x: BigInt64Array.of(1n, -(2n ** 31n) - 1n) }]));
  expect(() => toJaxArrays(batch!, jax)).toThrow("-2147483649 is beyond int32 (sample sample/1)");
});

/** One kind of the typed arrays is unknown to this Node's types. */
function numbersOf(data: unknown): number[] {
  return Array.from(data as ArrayLike<number>);
}
