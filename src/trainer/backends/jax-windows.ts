// The primitives over windows as operations of jax-js, whose convolution takes channels first as the graph does. Adjoints are
// those of its differentiation, where an operation is linear in what is asked for; the compiler drops what nobody needs.

import type * as Jax from "@jax-js/jax";

import type { Op } from "../plan.ts";
import { planeOf, slideOver, type Pair, type Window } from "../windows.ts";

/** An array of jax-js. Functions take over what they are given, as its own do. */
type JaxArray = Jax.Array;

/** A primitive over windows. */
type WindowOp = Extract<Op, { readonly window: Window }>;

/** What no element of a float32 plane is below: padding that is never the greatest. */
const LOWEST = -3.4028234663852886e38;

/** Computes a primitive over windows, whose result has the given shape. Takes over the operands. */
export function computeWindowOp(
  jax: typeof Jax,
  op: WindowOp,
  shape: readonly number[],
  operands: readonly JaxArray[],
): JaxArray {
  const [first, second] = operands;
  if (first === undefined) throw new RangeError(`Cannot compute ${op.kind}: it lacks an operand`);
  function other(): JaxArray {
    if (second === undefined) throw new RangeError(`Cannot compute ${op.kind}: it lacks an operand`);
    return second;
  }
  switch (op.kind) {
    case "conv2d":
      return convolve(jax, first, other(), op.window, op.groups);
    case "conv2dInputGradient": {
      const kernel = other();
      return adjoint(jax, (x) => convolve(jax, x, kernel, op.window, op.groups), first, shape);
    }
    case "conv2dKernelGradient":
      return adjoint(jax, (kernel) => convolve(jax, first, kernel, op.window, op.groups), other(), shape);
    case "maxPool2d":
      return greatest(jax, tapsOf(jax, first, op.window, LOWEST));
    case "maxPool2dGradient":
      return maxPoolGradient(jax, first, other(), op.window, shape);
    case "avgPool2d":
      return average(jax, first, op.window);
    case "avgPool2dGradient":
      return adjoint(jax, (x) => average(jax, x, op.window), first, shape);
  }
}

/** A convolution with a kernel `[height, width, channels / groups, filters]`. */
function convolve({ lax }: typeof Jax, x: JaxArray, kernel: JaxArray, window: Window, groups: number): JaxArray {
  const { strides, dilations, before, after } = window;
  const padding: [number, number][] = [
    [before[0], after[0]],
    [before[1], after[1]],
  ];
  return lax.convGeneralDilated(x, kernel.transpose([3, 2, 0, 1]), [...strides], padding, {
    rhsDilation: [...dilations],
    featureGroupCount: groups,
  });
}

/** The adjoint of a linear function at `gradient`: an array of `shape`. */
function adjoint(
  { grad, numpy }: typeof Jax,
  linear: (x: JaxArray) => JaxArray,
  gradient: JaxArray,
  shape: readonly number[],
): JaxArray {
  function paired(x: JaxArray): JaxArray {
    return numpy.sum(numpy.multiply(linear(x), gradient));
  }
  return grad(paired)(numpy.zeros([...shape]));
}

/** Each element of the windows in row-major order: an array of the results' shape. */
function tapsOf(jax: typeof Jax, x: JaxArray, window: Window, padding: number): JaxArray[] {
  const [height, width] = window.size;
  const results = slideOver(planeOf(x.shape), window);
  const planes = padded(jax, x, window, results, padding);
  const taps = Array.from({ length: height * width }, (_, element) => {
    const place: Pair = [Math.floor(element / width), element % width];
    return tap(planes.ref, window, results, place);
  });
  planes.dispose();
  return taps;
}

/** The planes with padding, and as much more at the end as whole strides behind the last element take. */
function padded(
  { numpy }: typeof Jax,
  x: JaxArray,
  { size, strides, dilations, before }: Window,
  results: Pair,
  value: number,
): JaxArray {
  const [batch = 0, channels = 0] = x.shape;
  let planes = x;
  for (const axis of [0, 1] as const) {
    const wanted = (size[axis] - 1) * dilations[axis] + results[axis] * strides[axis];
    const extended = before[axis] + (planes.shape[axis + 2] ?? 0);
    const parts = [before[axis], Math.max(0, wanted - extended)].map((count) => {
      const shape = [batch, channels, planes.shape[2] ?? 0, planes.shape[3] ?? 0];
      shape[axis + 2] = count;
      return count === 0 ? [] : [numpy.full(shape, value)];
    });
    const all = [...(parts[0] ?? []), planes, ...(parts[1] ?? [])];
    if (all.length > 1) planes = numpy.concatenate(all, axis + 2);
  }
  return planes;
}

/** One element of each window: a slice whose strides are taken apart as an axis of their own. */
function tap(planes: JaxArray, { strides, dilations }: Window, results: Pair, place: Pair): JaxArray {
  const [batch = 0, channels = 0] = planes.shape;
  const [down, across] = [place[0] * dilations[0], place[1] * dilations[1]];
  const [height, width] = [results[0] * strides[0], results[1] * strides[1]];
  const region = planes.slice([], [], [down, down + height], [across, across + width]);
  if (strides[0] === 1 && strides[1] === 1) return region;
  const apart = region.reshape([batch, channels, results[0], strides[0], results[1], strides[1]]);
  return apart.slice([], [], [], [0, 1], [], [0, 1]).reshape([batch, channels, ...results]);
}

function greatest({ numpy }: typeof Jax, [first, ...others]: readonly JaxArray[]): JaxArray {
  if (first === undefined) throw new RangeError("Cannot compute the greatest: the window is empty");
  return others.reduce((so, next) => numpy.maximum(so, next), first);
}

function average(jax: typeof Jax, x: JaxArray, window: Window): JaxArray {
  const [first, ...others] = tapsOf(jax, x, window, 0);
  if (first === undefined) throw new RangeError("Cannot compute the average: the window is empty");
  return others.reduce((sum, next) => sum.add(next), first).mul(1 / (window.size[0] * window.size[1]));
}

/** Hands each gradient to the first greatest element of its window. */
function maxPoolGradient(
  jax: typeof Jax,
  x: JaxArray,
  gradient: JaxArray,
  window: Window,
  shape: readonly number[],
): JaxArray {
  const { numpy, grad } = jax;
  const taps = tapsOf(jax, x, window, LOWEST);
  const most = greatest(
    jax,
    taps.map((value) => value.ref),
  );
  let left = numpy.ones([...gradient.shape]);
  const shares = taps.map((value) => {
    const isGreatest = numpy.equal(value, most.ref).astype(numpy.float32);
    const chosen = isGreatest.mul(left.ref);
    left = left.sub(chosen.ref);
    return chosen.mul(gradient.ref);
  });
  for (const array of [most, left, gradient]) array.dispose();
  function paired(planes: JaxArray): JaxArray {
    const sums = tapsOf(jax, planes, window, 0).map((value, element) =>
      numpy.sum(numpy.multiply(value, given(shares[element]))),
    );
    return sums.reduce((sum, next) => sum.add(next));
  }
  return grad(paired)(numpy.zeros([...shape]));
}

function given(array: JaxArray | undefined): JaxArray {
  if (array === undefined) throw new RangeError("Cannot compute windows: an element is missing");
  return array;
}
