// Layers against what Keras computes with the same weights: values, gradients by inputs and weights, state after a step.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { tensor } from "../../src/core/tensor.ts";
import type { HostTensor } from "../../src/trainer/backend.ts";
import { gradient } from "../../src/trainer/gradient.ts";
import { Graph, type Sym } from "../../src/trainer/graph.ts";
import * as layers from "../../src/trainer/layers.ts";
import * as ops from "../../src/trainer/ops.ts";
import { evaluate } from "./evaluate.ts";

/** In units of the greatest number: Keras computes in float32 and adds up in another order. */
const TOLERANCE = 1e-5;

interface Packed {
  readonly dtype: "float32" | "int32" | "bool";
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface KerasCase {
  readonly layer: string;
  readonly arguments: readonly unknown[];
  readonly weights: Readonly<Record<string, Packed>>;
  readonly inputs: Readonly<Record<string, Packed>>;
  readonly cotangent: Packed;
  readonly output: Packed;
  readonly gradients: Readonly<Record<string, Packed>>;
  readonly training?: boolean;
  readonly state?: Readonly<Record<string, Packed>>;
}

const fixture = new URL("../../fixtures/layers/keras.json", import.meta.url);
const { cases } = JSON.parse(readFileSync(fixture, "utf8")) as { readonly cases: readonly KerasCase[] };
const makers = layers as unknown as Readonly<Record<string, (...parts: unknown[]) => layers.Model>>;

describe("layers compute what Keras' do", () => {
  const titled = cases.map((one) => ({ ...one, title: JSON.stringify(one.arguments) }));
  test.each(titled)("$layer $title", async (one) => {
    const graph = new Graph();
    const inputs = Object.entries(one.inputs).map(([name, { shape, dtype }]) => {
      return [name, graph.input(`input ${name}`, shape, dtype)] as const;
    });
    const [[firstName, first]] = inputs as [readonly [string, Sym]];
    const x = inputs.length === 1 && firstName === "x" ? first : Object.fromEntries(inputs);
    const model = makers[one.layer]!(...one.arguments);
    const traced = layers.traceModel(model, graph, x, { training: one.training === true });

    const byPath = new Map(traced.parameters.map(({ parameter, sym }) => [parameter.path, sym]));
    expect([...byPath.keys()].sort()).toEqual(Object.keys(one.weights).sort());
    for (const [name, sym] of inputs) byPath.set(`input ${name}`, sym);

    const names = Object.keys(one.gradients);
    const loss = ops.sum(ops.mul(traced.output, graph.constant(unpack(one.cotangent))));
    const gradients = gradient(
      loss,
      names.map((name) => byPath.get(name)!),
    );
    const states = Object.keys(one.state ?? {});
    const updates = states.map((name) => traced.updates.get(name)!);
    const given = [...Object.entries(one.weights), ...Object.entries(one.inputs).map(([k, v]) => [`input ${k}`, v])];
    const feeds = (given as [string, Packed][]).map(([name, value]) => [byPath.get(name)!, unpack(value)] as const);
    const found = await evaluate([traced.output, ...gradients, ...updates], feeds);
    const wanted = [
      one.output,
      ...names.map((name) => one.gradients[name]!),
      ...states.map((name) => one.state![name]!),
    ];
    for (const [i, value] of wanted.entries()) expectClose(found[i]!, value);
  });
});

function unpack({ dtype, shape, data }: Packed): HostTensor {
  if (dtype === "float32") return tensor(dtype, shape, Float32Array.from(data));
  return dtype === "int32" ? tensor(dtype, shape, Int32Array.from(data)) : tensor(dtype, shape, Uint8Array.from(data));
}

function expectClose(found: HostTensor, wanted: Packed): void {
  expect(found.shape).toEqual(wanted.shape);
  const size = Math.max(1, ...wanted.data.map(Math.abs));
  const misses = wanted.data.map((value, i) => Math.abs(Number(found.data[i]) - value));
  expect(Math.max(...misses) / size).toBeLessThan(TOLERANCE);
}
