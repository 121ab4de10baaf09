// The primitives over windows as kernels of TensorFlow.js, which want channels last. What its engines lack (the gradients of
// kernels, groups) is composed: windows as rows of a matrix, and convolutions of gradients spread out with zeros.
// https://github.com/tensorflow/tfjs/tree/master/tfjs-core/src/ops

import type { Tensor } from "@tensorflow/tfjs-core";

import { elementCount } from "../../core/tensor.ts";
import type { Op } from "../plan.ts";
import type { OpOf } from "../primitives.ts";
import { slideOver, type Pair, type Window } from "../windows.ts";
import { asInputs, type Call } from "./tfjs-call.ts";

/** A primitive over windows. */
type WindowOp = Extract<Op, { readonly window: Window }>;

/** What no element of a float32 plane is below: padding that is never the greatest. */
const LOWEST = -3.4028234663852886e38;

const CHANNELS_LAST = [0, 2, 3, 1];
const CHANNELS_FIRST = [0, 3, 1, 2];

/** Computes a primitive over windows. Tensors in between are the caller's to tidy up. */
export function computeWindowOp(call: Call, op: WindowOp, [first, second]: readonly Tensor[]): Tensor {
  if (first === undefined) throw new RangeError(`Cannot compute ${op.kind}: it lacks an operand`);
  const x = call("Transpose", { x: first }, { perm: CHANNELS_LAST });
  const result = computeChannelsLast(call, op, x, second);
  return op.kind === "conv2dKernelGradient" ? result : call("Transpose", { x: result }, { perm: CHANNELS_FIRST });
}

function computeChannelsLast(call: Call, op: WindowOp, x: Tensor, second: Tensor | undefined): Tensor {
  const { window } = op;
  function other(): Tensor {
    if (second === undefined) throw new RangeError(`Cannot compute ${op.kind}: it lacks an operand`);
    return second;
  }
  switch (op.kind) {
    case "conv2d":
      return convolve(call, padded(call, x, window, 0), other(), window, op.groups);
    case "conv2dInputGradient": {
      const kernel = flippedKernel(call, other(), op.groups);
      return convolve(call, spread(call, x, window, op.inputSize), kernel, windowBack(window), op.groups);
    }
    case "conv2dKernelGradient":
      return kernelGradient(call, op, x, transpose(call, other(), CHANNELS_LAST));
    case "maxPool2d":
      return pool(call, "MaxPool", padded(call, x, window, LOWEST), window);
    case "maxPool2dGradient":
      return maxPoolGradient(call, window, x, transpose(call, other(), CHANNELS_LAST));
    case "avgPool2d":
      return pool(call, "AvgPool", padded(call, x, window, 0), window);
    case "avgPool2dGradient":
      return pool(call, "AvgPool", spread(call, x, window, op.inputSize), windowBack(window));
  }
}

/** Padding put around the planes; windows then start at 0. */
function padded(call: Call, x: Tensor, { before, after }: Window, constantValue: number): Tensor {
  if ([...before, ...after].every((count) => count === 0)) return x;
  const paddings = [
    [0, 0],
    [before[0], after[0]],
    [before[1], after[1]],
    [0, 0],
  ];
  return call("PadV2", { x }, { paddings, constantValue });
}

/** A pooling kernel over padded planes. */
function pool(call: Call, kernel: "MaxPool" | "AvgPool", x: Tensor, { size, strides }: Window): Tensor {
  return call(kernel, { x }, { filterSize: [...size], strides: [...strides], pad: "valid" });
}

/** A convolution over padded planes with a kernel `[height, width, channels / groups, filters]`. */
function convolve(call: Call, x: Tensor, filter: Tensor, window: Window, groups: number): Tensor {
  if (groups === 1) {
    const { strides, dilations } = window;
    const attributes = { strides: [...strides], pad: "valid", dataFormat: "NHWC", dilations: [...dilations] };
    return call("Conv2D", { x, filter }, attributes);
  }
  const [height = 1, width = 1, perGroup = 1, filters = 1] = filter.shape;
  const [rows, resultSize] = windowRows(call, x, window, groups);
  const filtersPerGroup = filters / groups;
  const grouped = reshape(call, filter, [height * width * perGroup, groups, filtersPerGroup]);
  const product = multiply(call, rows, transpose(call, grouped, [1, 0, 2]));
  const [batch = 0] = x.shape;
  const split = reshape(call, product, [groups, batch, ...resultSize, filtersPerGroup]);
  return reshape(call, transpose(call, split, [1, 2, 3, 0, 4]), [batch, ...resultSize, filters]);
}

/** The windows as rows times the gradient, over all results of all samples. */
function kernelGradient(
  call: Call,
  { window, groups }: OpOf<"conv2dKernelGradient">,
  x: Tensor,
  gradient: Tensor,
): Tensor {
  const [, , , channels = 1] = x.shape;
  const [, , , filters = 1] = gradient.shape;
  const [rows] = windowRows(call, padded(call, x, window, 0), window, groups, slideSize(gradient));
  const columns = transpose(call, rows, [0, 2, 1]);
  const grouped = reshape(call, gradient, [-1, groups, filters / groups]);
  const product = multiply(call, columns, transpose(call, grouped, [1, 0, 2])); // [groups, elements * channels, filters]
  return reshape(call, transpose(call, product, [1, 0, 2]), [...window.size, channels / groups, filters]);
}

/** Every window as a row: `[groups, batch * results, elements * channels / groups]`, and how many results there are. */
function windowRows(
  call: Call,
  x: Tensor,
  window: Window,
  groups: number,
  resultSize = slideOver([x.shape[1] ?? 0, x.shape[2] ?? 0], { ...window, before: [0, 0], after: [0, 0] }),
): [rows: Tensor, resultSize: Pair] {
  const [batch = 0, , , channels = 1] = x.shape;
  const [height, width] = window.size;
  const elements = Array.from({ length: height * width }, (_, element) => {
    const place: Pair = [Math.floor(element / width), element % width];
    return elementOfWindows(call, x, window, place, resultSize);
  });
  const joined = elements.length === 1 ? elements[0] : call("Concat", asInputs(elements), { axis: 3 });
  if (joined === undefined) throw new RangeError("Cannot compute windows: they have no elements");
  const split = reshape(call, joined, [batch * elementCount(resultSize), height * width, groups, channels / groups]);
  const rows = transpose(call, split, [2, 0, 1, 3]);
  return [reshape(call, rows, [groups, -1, (height * width * channels) / groups]), resultSize];
}

/** One element of each window, `[batch, ...results, channels]`. */
function elementOfWindows(
  call: Call,
  x: Tensor,
  { strides, dilations }: Window,
  place: Pair,
  resultSize: Pair,
): Tensor {
  const [batch = 0, , , channels = 1] = x.shape;
  const begin = [0, place[0] * dilations[0], place[1] * dilations[1], 0];
  const reach = resultSize.map((size, axis) => (size - 1) * (strides[axis] ?? 1) + 1);
  const size = [batch, reach[0] ?? 1, reach[1] ?? 1, channels];
  if (strides.every((stride) => stride === 1)) return call("Slice", { x }, { begin, size });
  return call(
    "StridedSlice",
    { x },
    {
      begin,
      end: begin.map((start, axis) => start + (size[axis] ?? 0)),
      strides: [1, ...strides, 1],
      beginMask: 0,
      endMask: 0,
      ellipsisMask: 0,
      newAxisMask: 0,
      shrinkAxisMask: 0,
    },
  );
}

/** The window of the way back: it slides in steps of 1 over what {@link spread} makes of the gradient. */
function windowBack({ size, dilations }: Window): Window {
  return { size, strides: [1, 1], dilations, before: [0, 0], after: [0, 0] };
}

/**
 * The gradient with `stride - 1` zeros between its elements, padded so that the window of the way back gives the input's size,
 * and cut where it fell on padding.
 */
function spread(call: Call, gradient: Tensor, window: Window, inputSize: Pair): Tensor {
  const [batch = 0, height = 1, width = 1, channels = 1] = gradient.shape;
  const [down, across] = window.strides;
  let spaced = gradient;
  if (down > 1 || across > 1) {
    const apart = reshape(call, gradient, [batch, height, 1, width, channels]);
    const right = (across - 1) * channels;
    const zeros = {
      paddings: [
        [0, 0],
        [0, 0],
        [0, down - 1],
        [0, 0],
        [0, right],
      ],
      constantValue: 0,
    };
    spaced = reshape(call, call("PadV2", { x: apart }, zeros), [batch, height * down, width * across, channels]);
  }
  function along(axis: 0 | 1): { readonly before: number; readonly length: number; readonly after: number } {
    const reach = (window.size[axis] - 1) * window.dilations[axis];
    const before = reach - window.before[axis]; // negative where the gradient begins on padding
    const length = inputSize[axis] + reach;
    return { before, length, after: length - before - (spaced.shape[axis + 1] ?? 0) };
  }
  const [rows, columns] = [along(0), along(1)];
  const paddings = [[0, 0], ...[rows, columns].map(({ before, after }) => [clip(before), clip(after)]), [0, 0]];
  const wide = call("PadV2", { x: spaced }, { paddings, constantValue: 0 });
  const begin = [0, clip(-rows.before), clip(-columns.before), 0];
  return call("Slice", { x: wide }, { begin, size: [batch, rows.length, columns.length, channels] });
}

function clip(count: number): number {
  return Math.max(count, 0);
}

/** The kernel of the way back: turned by half a circle, with channels and filters of each group exchanged. */
function flippedKernel(call: Call, kernel: Tensor, groups: number): Tensor {
  const [height = 1, width = 1, perGroup = 1, filters = 1] = kernel.shape;
  const turned = call("Reverse", { x: kernel }, { dims: [0, 1] });
  const grouped = reshape(call, turned, [height, width, perGroup, groups, filters / groups]);
  return reshape(call, transpose(call, grouped, [0, 1, 4, 3, 2]), [height, width, filters / groups, groups * perGroup]);
}

/**
 * Each gradient added where its window has its first greatest element, one element of all windows after the other. The
 * engines' own MaxPoolGrad did not agree with the reference in that.
 */
function maxPoolGradient(call: Call, window: Window, x: Tensor, gradient: Tensor): Tensor {
  const input = padded(call, x, window, LOWEST);
  const greatest = pool(call, "MaxPool", input, window);
  const resultSize = slideSize(gradient);
  const inputSize: Pair = [x.shape[1] ?? 0, x.shape[2] ?? 0];
  const [height, width] = window.size;
  let waiting = gradient; // what no element has taken yet
  let sum: Tensor | undefined;
  for (let element = 0; element < height * width; element++) {
    const place: Pair = [Math.floor(element / width), element % width];
    const found = call("Equal", { a: elementOfWindows(call, input, window, place, resultSize), b: greatest });
    const taken = call("Multiply", { a: waiting, b: call("Cast", { x: found }, { dtype: "float32" }) });
    waiting = call("Sub", { a: waiting, b: taken });
    const before: Pair = [window.before[0] - place[0], window.before[1] - place[1]];
    const single: Window = { ...window, size: [1, 1], before };
    const put = spread(call, taken, single, inputSize);
    sum = sum === undefined ? put : call("Add", { a: sum, b: put });
  }
  if (sum === undefined) throw new RangeError("Cannot compute windows: they have no elements");
  return sum;
}

function slideSize({ shape }: Tensor): Pair {
  return [shape[1] ?? 0, shape[2] ?? 0];
}

function reshape(call: Call, x: Tensor, shape: readonly number[]): Tensor {
  return call("Reshape", { x }, { shape: [...shape] });
}

function transpose(call: Call, x: Tensor, perm: readonly number[]): Tensor {
  return call("Transpose", { x }, { perm: [...perm] });
}

function multiply(call: Call, a: Tensor, b: Tensor): Tensor {
  return call("BatchMatMul", { a, b }, { transposeA: false, transposeB: false });
}
