// Runs values of a graph on the reference backend.
import { tensor } from "../../src/core/tensor.ts";
import type { HostTensor } from "../../src/trainer/backend.ts";
import { createReference } from "../../src/trainer/backends/reference.ts";
import type { Sym } from "../../src/trainer/graph.ts";

/** Makes a float32 tensor from numbers. */
export function float32(shape: readonly number[], values: Iterable<number>): HostTensor {
  return tensor("float32", shape, Float32Array.from(values));
}

/** Makes an int32 tensor from numbers. */
export function int32(shape: readonly number[], values: Iterable<number>): HostTensor {
  return tensor("int32", shape, Int32Array.from(values));
}

/** Computes values of one graph; `feeds` are its inputs by name, those that nothing needs are left out. */
export async function evaluate(
  outputs: readonly Sym[],
  feeds: readonly (readonly [input: Sym, value: HostTensor])[] = [],
): Promise<HostTensor[]> {
  const graph = outputs[0]!.graph;
  const named = feeds.map(([input, value], i) => ({ name: `feed${i}`, input, value }));
  const plan = graph.plan({
    name: "test",
    feeds: Object.fromEntries(named.map(({ name, input }) => [name, input])),
    state: {},
    updates: {},
    outputs: Object.fromEntries(outputs.map((sym, i) => [`output${i}`, sym])),
  });
  const backend = await createReference();
  const session = await backend.open(new Map());
  const program = await session.compile(plan);
  const live = named.filter(({ name }) => plan.feeds.has(name));
  const results = await program.run(new Map(live.map(({ name, value }) => [name, value])));
  await session.close();
  return outputs.map((_, i) => results.get(`output${i}`)!);
}

/** Computes one value and gives its elements. */
export async function elements(
  output: Sym,
  feeds: readonly (readonly [input: Sym, value: HostTensor])[] = [],
): Promise<number[]> {
  const [result] = await evaluate([output], feeds);
  return Array.from(result!.data, Number);
}
