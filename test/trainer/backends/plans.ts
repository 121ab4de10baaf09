// Small plans that the tests of the backends share, traced with the graph.

import { Graph, type Sym } from "../../../src/trainer/graph.ts";
import type { HostTensor } from "../../../src/trainer/backend.ts";
import type { GraphDType, Plan } from "../../../src/trainer/plan.ts";

/** Makes a float32 tensor; without a shape a vector. */
export function float32(values: Iterable<number>, shape?: readonly number[]): HostTensor {
  const data = Float32Array.from(values);
  return { dtype: "float32", shape: shape ?? [data.length], data };
}

/** Makes an int32 tensor; without a shape a vector. */
export function int32(values: Iterable<number>, shape?: readonly number[]): HostTensor {
  const data = Int32Array.from(values);
  return { dtype: "int32", shape: shape ?? [data.length], data };
}

/** Makes a bool tensor; without a shape a vector. */
export function bool(values: Iterable<boolean>, shape?: readonly number[]): HostTensor {
  const data = Uint8Array.from(values, Number);
  return { dtype: "bool", shape: shape ?? [data.length], data };
}

/** The elements of a tensor as numbers. */
export function elements(tensor: HostTensor | undefined): number[] {
  return Array.from(tensor?.data ?? []);
}

/** Adds what is fed as `x` to the state `total`; hands out the old total and the new one. */
export function accumulate(shape: readonly number[] = [3]): Plan {
  const graph = new Graph();
  const x = graph.input("x", shape, "float32");
  const total = graph.input("total", shape, "float32");
  const next = graph.node({ kind: "add" }, [total, x]);
  return graph.plan({
    name: "accumulate",
    feeds: { x },
    state: { total },
    updates: { total: next },
    outputs: { before: total, after: next },
  });
}

/** Hands out the state `total`, doubled. */
export function double(shape: readonly number[] = [3]): Plan {
  const graph = new Graph();
  const total = graph.input("total", shape, "float32");
  const doubled = graph.node({ kind: "add" }, [total, total]);
  return graph.plan({ name: "double", feeds: {}, state: { total }, updates: {}, outputs: { doubled } });
}

/** Exchanges the states `a` and `b`, and counts in `count`. */
export function exchange(): Plan {
  const graph = new Graph();
  const a = graph.input("a", [2], "float32");
  const b = graph.input("b", [2], "float32");
  const count = graph.input("count", [], "int32");
  const next = graph.node({ kind: "add" }, [count, graph.constant(1, "int32")]);
  return graph.plan({
    name: "exchange",
    feeds: {},
    state: { a, b, count },
    updates: { a: b, b: a, count: next },
    outputs: { count: next },
  });
}

/** A plan without state that hands out `result`, built of inputs of the given shapes. */
export function compute(
  inputs: Readonly<Record<string, { readonly shape: readonly number[]; readonly dtype: GraphDType }>>,
  build: (graph: Graph, syms: Sym[]) => Sym,
): Plan {
  const graph = new Graph();
  const feeds = Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, dtype }]) => [name, graph.input(name, shape, dtype)]),
  );
  const result = build(graph, Object.values(feeds));
  return graph.plan({ name: "compute", feeds, state: {}, updates: {}, outputs: { result } });
}
