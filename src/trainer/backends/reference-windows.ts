// The primitives over windows in plain TypeScript. Sums are added up in float64 and rounded once.

import { elementCount } from "../../core/tensor.ts";
import type { HostTensor } from "../backend.ts";
import type { OpOf, Operands, ValueSpec } from "../primitives.ts";
import { planeOf, slideOver, type Pair, type Window } from "../windows.ts";

/** One element of a window: the results that read it from the input, not from padding, and the places they read. */
interface Tap {
  readonly row: number;
  readonly column: number;
  readonly results: Int32Array;
  readonly places: Int32Array;
}

/** Computes `conv2d`. */
export function conv2d(
  { window, groups }: OpOf<"conv2d">,
  [x, kernel]: Operands<"conv2d", HostTensor>,
  result: ValueSpec,
): HostTensor {
  const taps = tapsOf(planeOf(x.shape), window);
  const sums = new Float64Array(elementCount(result.shape));
  forEachPairing(x, result, groups, ({ input, output, channel, filter }) => {
    for (const { row, column, results, places } of taps) {
      const weight = kernel.data[kernelPlace(kernel.shape, row, column, channel, filter)] ?? 0;
      addProducts(sums, output, results, x.data, input, places, weight);
    }
  });
  return rounded(sums, result);
}

/** Computes `conv2dInputGradient`. */
export function conv2dInputGradient(
  { window, groups, inputSize }: OpOf<"conv2dInputGradient">,
  [gradient, kernel]: Operands<"conv2dInputGradient", HostTensor>,
  result: ValueSpec,
): HostTensor {
  const taps = tapsOf(inputSize, window);
  const sums = new Float64Array(elementCount(result.shape));
  forEachPairing(result, gradient, groups, ({ input, output, channel, filter }) => {
    for (const { row, column, results, places } of taps) {
      const weight = kernel.data[kernelPlace(kernel.shape, row, column, channel, filter)] ?? 0;
      addProducts(sums, input, places, gradient.data, output, results, weight);
    }
  });
  return rounded(sums, result);
}

/** Computes `conv2dKernelGradient`. */
export function conv2dKernelGradient(
  { window, groups }: OpOf<"conv2dKernelGradient">,
  [x, gradient]: Operands<"conv2dKernelGradient", HostTensor>,
  result: ValueSpec,
): HostTensor {
  const taps = tapsOf(planeOf(x.shape), window);
  const sums = new Float64Array(elementCount(result.shape));
  forEachPairing(x, gradient, groups, ({ input, output, channel, filter }) => {
    for (const { row, column, results, places } of taps) {
      let sum = 0;
      for (const [i, place] of places.entries()) {
        sum += (x.data[input + place] ?? 0) * (gradient.data[output + (results[i] ?? 0)] ?? 0);
      }
      const at = kernelPlace(result.shape, row, column, channel, filter);
      sums[at] = (sums[at] ?? 0) + sum;
    }
  });
  return rounded(sums, result);
}

/** Computes `maxPool2d`. */
export function maxPool2d(
  { window }: OpOf<"maxPool2d">,
  [x]: Operands<"maxPool2d", HostTensor>,
  { shape }: ValueSpec,
): HostTensor {
  const data = new Float32Array(elementCount(shape)).fill(-Infinity);
  forEachPlane(x.shape, shape, (input, output) => {
    for (const { results, places } of tapsOf(planeOf(x.shape), window)) {
      for (const [i, place] of places.entries()) {
        const at = output + (results[i] ?? 0);
        data[at] = Math.max(data[at] ?? 0, x.data[input + place] ?? 0);
      }
    }
  });
  return { dtype: "float32", shape, data };
}

/** Computes `maxPool2dGradient`: the elements of a window are compared in row-major order. */
export function maxPool2dGradient(
  { window }: OpOf<"maxPool2dGradient">,
  [x, gradient]: Operands<"maxPool2dGradient", HostTensor>,
  result: ValueSpec,
): HostTensor {
  const sums = new Float64Array(elementCount(result.shape));
  const taps = tapsOf(planeOf(x.shape), window);
  const resultsPerPlane = elementCount(planeOf(gradient.shape));
  forEachPlane(x.shape, gradient.shape, (input, output) => {
    const greatest = new Float64Array(resultsPerPlane).fill(-Infinity);
    const winners = new Int32Array(resultsPerPlane).fill(-1);
    for (const { results, places } of taps) {
      for (const [i, place] of places.entries()) {
        const at = results[i] ?? 0;
        const value = x.data[input + place] ?? 0;
        if (winners[at] !== -1 && !(value > (greatest[at] ?? 0))) continue;
        greatest[at] = value;
        winners[at] = place;
      }
    }
    for (const [at, place] of winners.entries()) {
      sums[input + place] = (sums[input + place] ?? 0) + (gradient.data[output + at] ?? 0);
    }
  });
  return rounded(sums, result);
}

/** Computes `avgPool2d`. */
export function avgPool2d(
  { window }: OpOf<"avgPool2d">,
  [x]: Operands<"avgPool2d", HostTensor>,
  result: ValueSpec,
): HostTensor {
  const sums = new Float64Array(elementCount(result.shape));
  const taps = tapsOf(planeOf(x.shape), window);
  forEachPlane(x.shape, result.shape, (input, output) => {
    for (const { results, places } of taps) addProducts(sums, output, results, x.data, input, places, 1 / taps.length);
  });
  return rounded(sums, result);
}

/** Computes `avgPool2dGradient`. */
export function avgPool2dGradient(
  { window, inputSize }: OpOf<"avgPool2dGradient">,
  [gradient]: Operands<"avgPool2dGradient", HostTensor>,
  result: ValueSpec,
): HostTensor {
  const sums = new Float64Array(elementCount(result.shape));
  const taps = tapsOf(inputSize, window);
  forEachPlane(result.shape, gradient.shape, (input, output) => {
    for (const { results, places } of taps)
      addProducts(sums, input, places, gradient.data, output, results, 1 / taps.length);
  });
  return rounded(sums, result);
}

/** Lists the elements of a window in row-major order with the results that read each of them, over one plane. */
function tapsOf(inputSize: Pair, window: Window): Tap[] {
  const [height, width] = window.size;
  const [resultHeight, resultWidth] = slideOver(inputSize, window);
  return Array.from({ length: height * width }, (_, element): Tap => {
    const [row, column] = [Math.floor(element / width), element % width];
    const results: number[] = [];
    const places: number[] = [];
    for (let y = 0; y < resultHeight; y++) {
      const inputY = y * window.strides[0] + row * window.dilations[0] - window.before[0];
      if (inputY < 0 || inputY >= inputSize[0]) continue;
      for (let x = 0; x < resultWidth; x++) {
        const inputX = x * window.strides[1] + column * window.dilations[1] - window.before[1];
        if (inputX < 0 || inputX >= inputSize[1]) continue;
        results.push(y * resultWidth + x);
        places.push(inputY * inputSize[1] + inputX);
      }
    }
    return { row, column, results: Int32Array.from(results), places: Int32Array.from(places) };
  });
}

/** A plane of the input and one of the output that a kernel joins: where each starts, and the kernel's last two indices. */
interface Pairing {
  readonly input: number;
  readonly output: number;
  /** Counted within the group. */
  readonly channel: number;
  readonly filter: number;
}

/** Goes over each sample's pairs of an input plane and an output plane of one group. */
function forEachPairing(input: ValueSpec, output: ValueSpec, groups: number, visit: (pairing: Pairing) => void): void {
  const [batch = 0, channels = 0] = input.shape;
  const [, filters = 0] = output.shape;
  const [inputPlane, outputPlane] = [elementCount(planeOf(input.shape)), elementCount(planeOf(output.shape))];
  const [perGroup, filtersPerGroup] = [channels / groups, filters / groups];
  for (let sample = 0; sample < batch; sample++) {
    for (let filter = 0; filter < filters; filter++) {
      const firstChannel = Math.floor(filter / filtersPerGroup) * perGroup;
      for (let channel = 0; channel < perGroup; channel++) {
        visit({
          input: (sample * channels + firstChannel + channel) * inputPlane,
          output: (sample * filters + filter) * outputPlane,
          channel,
          filter,
        });
      }
    }
  }
}

/** Goes over the planes of input and output, which have one each of every sample and channel. */
function forEachPlane(
  inputShape: readonly number[],
  outputShape: readonly number[],
  visit: (input: number, output: number) => void,
): void {
  const [inputPlane, outputPlane] = [elementCount(planeOf(inputShape)), elementCount(planeOf(outputShape))];
  const count = elementCount(inputShape.slice(0, 2));
  for (let plane = 0; plane < count; plane++) visit(plane * inputPlane, plane * outputPlane);
}

function kernelPlace(
  [, width = 1, channels = 1, filters = 1]: readonly number[],
  row: number,
  column: number,
  channel: number,
  filter: number,
): number {
  return ((row * width + column) * channels + channel) * filters + filter;
}

/** Adds `weight` times elements of one plane to elements of another. */
function addProducts(
  sums: Float64Array,
  sumsStart: number,
  sumPlaces: Int32Array,
  data: HostTensor["data"],
  dataStart: number,
  dataPlaces: Int32Array,
  weight: number,
): void {
  for (let i = 0; i < sumPlaces.length; i++) {
    const at = sumsStart + (sumPlaces[i] ?? 0);
    sums[at] = (sums[at] ?? 0) + weight * (data[dataStart + (dataPlaces[i] ?? 0)] ?? 0);
  }
}

function rounded(sums: Float64Array, { dtype, shape }: ValueSpec): HostTensor {
  return { dtype, shape, data: Float32Array.from(sums) };
}
