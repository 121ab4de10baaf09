// Several tensors of one sample as one.

import { KdataError } from "../core/errors.ts";
import type { Sample } from "../core/sample.ts";
import { copyElements, elementCount, zeros, type Tensor } from "../core/tensor.ts";
import { emptyFeatures } from "../core/sample.ts";
import type { Feature } from "../core/sample.ts";
import { requireTensor } from "./feature.ts";

/** How tensors are joined. */
export interface Joint {
  /** For messages: `stack`. */
  readonly action: string;
  readonly features: readonly string[];
  readonly into: string;
  readonly axis: number;
  /** What a tensor's shape stands for along the axis: `concat` takes it as it is, `stack` puts in an axis of one. */
  readonly shapeOf: (shape: readonly number[], axis: number) => readonly number[];
}

/**
 * Joins tensors of one dtype along an axis, into fresh memory, and puts the result in their place: last, under its own name.
 *
 * @throws {KdataError} `shape` when they do not fit together.
 */
export function joinFeatures(sample: Sample, { action, features, into, axis, shapeOf }: Joint): Sample {
  const tensors = features.map((name) => requireTensor(sample, name, action));
  const shapes = tensors.map(({ shape }) => (axis <= shape.length ? shapeOf(shape, axis) : shape));
  const [first, firstShape] = [tensors[0] as Tensor, shapes[0] as readonly number[]];
  for (const [place, { dtype, shape }] of tensors.entries()) {
    const fits = shapes[place]?.length === firstShape.length && axis < firstShape.length;
    if (fits && dtype === first.dtype && shapes[place]?.every((size, i) => i === axis || size === firstShape[i])) {
      continue;
    }
    const reason = `'${features[place]}' is ${dtype} [${shape.join(", ")}], '${features[0]}' ${first.dtype} [${first.shape.join(", ")}]`;
    throw new KdataError("shape", `Cannot ${action} along axis ${axis}: ${reason}`, { at: sample.origin });
  }
  const joined = join(tensors, shapes, axis);
  const rest = emptyFeatures();
  for (const name in sample.features) if (!features.includes(name)) rest[name] = sample.features[name] as Feature;
  rest[into] = joined;
  return { key: sample.key, origin: sample.origin, features: rest };
}

function join(tensors: readonly Tensor[], shapes: readonly (readonly number[])[], axis: number): Tensor {
  const [{ dtype }, firstShape] = [tensors[0] as Tensor, shapes[0] as readonly number[]];
  const outer = elementCount(firstShape.slice(0, axis));
  const size = shapes.reduce((sum, shape) => sum + (shape[axis] as number), 0);
  const joined = zeros(dtype, firstShape.with(axis, size));
  let at = 0;
  for (let row = 0; row < outer; row++) {
    for (const { data } of tensors) {
      const run = data.length / outer;
      copyElements(joined.data, data.subarray(row * run, (row + 1) * run), at);
      at += run;
    }
  }
  return joined;
}
