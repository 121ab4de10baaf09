// Low-rank adaptation: a frozen matrix W becomes W + A B alpha / rank, and training changes the small A and B alone.
// https://arxiv.org/abs/2106.09685. Shapes, names and starting values are those of Keras' `enable_lora`.

import { checkOptionNames, checkWhole } from "../core/options.ts";
import { KdataError } from "../core/errors.ts";
import { elementCount, tensor } from "../core/tensor.ts";
import type { HostTensor } from "./backend.ts";
import type { Sym } from "./graph.ts";
import { heUniform, zeros, type Initializer } from "./initializers.ts";
import { adaptParameter, listPaths, type AnyLayer, type ParameterAdapter } from "./layers/layer.ts";
import * as ops from "./ops.ts";

/** How {@link enableLora} adapts. */
export interface LoraOptions {
  /** Columns of A and rows of B: a whole number from 1 on. Default 4. */
  readonly rank?: number;
  /** `A B` counts `alpha / rank` times. Default `rank`. */
  readonly alpha?: number;
  /**
   * Which layers: ends of their paths (`query`, `attention/query`), or regular expressions over the whole path. Default every
   * layer whose path ends in `query` or `value`.
   */
  readonly targets?: readonly (string | RegExp)[];
  /** How A starts; B starts from 0, so that nothing changes at first. Default `heUniform`. */
  readonly initializer?: Initializer;
}

/** What {@link enableLora} did to a model. */
export interface Lora {
  /** Paths of the layers that were adapted. */
  readonly layers: readonly string[];
  /**
   * Makes the weights of the plain model of those of the adapted one (`trainer.weights()`): `A B` is added, A and B are left out.
   *
   * @throws {KdataError} `state` when a tensor is missing.
   */
  merge(weights: ReadonlyMap<string, HostTensor>): Map<string, HostTensor>;
  /**
   * Takes A and B of `adapted` out of merged weights again: the inverse of {@link Lora.merge}, but for rounding.
   *
   * @throws {KdataError} `state` when a tensor is missing.
   */
  unmerge(merged: ReadonlyMap<string, HostTensor>, adapted: ReadonlyMap<string, HostTensor>): Map<string, HostTensor>;
  /** Gives the model back as it was: for merged weights. Programs that a trainer has compiled stay as they are. */
  disable(): void;
}

/** One matrix that is adapted. */
interface Adapted {
  readonly layer: AnyLayer;
  readonly path: string;
  readonly parameter: string;
}

const DEFAULT_RANK = 4;
const DEFAULT_TARGETS = ["query", "value"];

/**
 * Freezes a model and gives the matrices of some of its layers (`dense`, `einsumDense`, `embedding`) a trainable low-rank part:
 * parameters `lora_<name>_a` `[...m, rank]` and `lora_<name>_b` `[rank, n]` beside `<name>` `[...m, n]`. To be called before the
 * trainer's first batch.
 *
 * @throws {RangeError} when the rank is not a whole number from 1 on, `alpha` is not finite, or a target fits no layer.
 * @throws {KdataError} `usage` when there is no such option.
 *
 * @example
 * const model = layers.sequential([layers.dense(8, { name: "query" }), layers.dense(2)]);
 * assert.deepEqual(enableLora(model, { rank: 2, targets: ["query"] }).layers, ["query"]);
 */
export function enableLora(model: AnyLayer, options: LoraOptions = {}): Lora {
  const action = "Cannot enable LoRA";
  checkOptionNames(action, options, ["rank", "alpha", "targets", "initializer"]);
  const { rank = DEFAULT_RANK, alpha = rank, targets = DEFAULT_TARGETS, initializer = heUniform } = options;
  checkWhole(action, "rank", rank, 1);
  if (!Number.isFinite(alpha)) throw new RangeError(`${action}: alpha is ${alpha}`);
  const adapted = findTargets(model, targets);
  const wasTrainable = model.trainable;
  const scale = alpha / rank;
  for (const { layer, parameter } of adapted) {
    adaptParameter(layer, parameter, lowRank({ parameter, rank, scale, initializer }));
  }
  model.trainable = false;
  return {
    layers: adapted.map(({ path }) => path),
    merge: (weights) => mergeAll(adapted, weights, weights, scale),
    unmerge(merged, weights) {
      const plain = mergeAll(adapted, new Map([...weights, ...merged]), weights, -scale);
      return new Map([...weights.keys()].map((name) => [name, plain.get(name) ?? need(weights, name)]));
    },
    disable() {
      for (const { layer, parameter } of adapted) adaptParameter(layer, parameter, undefined);
      model.trainable = wasTrainable;
    },
  };
}

function findTargets(model: AnyLayer, targets: readonly (string | RegExp)[]): Adapted[] {
  const matrices = listPaths(model).flatMap(([path, layer]): Adapted[] =>
    layer.matrix === undefined ? [] : [{ layer, path, parameter: layer.matrix }],
  );
  const idle = targets.find((target) => !matrices.some(({ path }) => fits(path, target)));
  if (idle !== undefined || targets.length === 0) {
    const paths = matrices.map(({ path }) => path).join(", ");
    throw new RangeError(`Cannot enable LoRA: no layer fits the target ${String(idle)} (there are: ${paths})`);
  }
  return matrices.filter(({ path }) => targets.some((target) => fits(path, target)));
}

function fits(path: string, target: string | RegExp): boolean {
  if (typeof target === "string") return path === target || path.endsWith(`/${target}`);
  return path.search(target) >= 0;
}

function lowRank({
  parameter,
  rank,
  scale,
  initializer,
}: Required<Pick<LoraOptions, "rank" | "initializer">> & {
  readonly parameter: string;
  readonly scale: number;
}): ParameterAdapter {
  return {
    adapt(matrix: Sym, own): Sym {
      const columns = matrix.shape.at(-1) ?? 1;
      const rows = matrix.shape.slice(0, -1);
      const a = own(nameOf(parameter, "a"), [...rows, rank], initializer);
      const b = own(nameOf(parameter, "b"), [rank, columns], zeros);
      const product = ops.matmul(ops.reshape(a, [elementCount(rows), rank]), b);
      return ops.add(matrix, ops.mul(ops.reshape(product, matrix.shape), scale));
    },
  };
}

function nameOf(parameter: string, part: "a" | "b"): string {
  return `lora_${parameter}_${part}`;
}

/** Adds `A B scale` of `parts` to each adapted matrix of `weights` and leaves A and B out. */
function mergeAll(
  adapted: readonly Adapted[],
  weights: ReadonlyMap<string, HostTensor>,
  parts: ReadonlyMap<string, HostTensor>,
  scale: number,
): Map<string, HostTensor> {
  const merged = new Map(weights);
  for (const { path, parameter } of adapted) {
    const prefix = path === "" ? "" : `${path}/`;
    const [a, b] = (["a", "b"] as const).map((part) => `${prefix}${nameOf(parameter, part)}`);
    if (a === undefined || b === undefined) continue;
    const name = `${prefix}${parameter}`;
    merged.set(name, addProduct(need(weights, name), need(parts, a), need(parts, b), scale));
    merged.delete(a);
    merged.delete(b);
  }
  return merged;
}

/** Computes `matrix + A B scale`, each sum in float64 and rounded once. */
function addProduct(matrix: HostTensor, a: HostTensor, b: HostTensor, scale: number): HostTensor {
  const [rank = 0, columns = 1] = b.shape;
  const data = Float32Array.from(matrix.data, Number);
  for (let i = 0; i < data.length; i++) {
    const row = Math.floor(i / columns);
    let sum = 0;
    for (let j = 0; j < rank; j++) {
      sum += Number(a.data[row * rank + j]) * Number(b.data[j * columns + (i % columns)]);
    }
    data[i] = (data[i] ?? 0) + scale * sum;
  }
  return tensor("float32", matrix.shape, data);
}

function need(weights: ReadonlyMap<string, HostTensor>, name: string): HostTensor {
  const found = weights.get(name);
  if (found === undefined) throw new KdataError("state", `Cannot merge LoRA: the weights have no '${name}'`);
  return found;
}
