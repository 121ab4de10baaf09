// Windows that slide over the last two axes of `[batch, channels, height, width]`: what convolutions and pooling share.
// The arithmetic is that of https://arxiv.org/abs/1603.07285 and of https://onnx.ai/onnx/operators/onnx__Conv.html.

/** One whole number for the height and one for the width. */
export type Pair = readonly [height: number, width: number];

/** How a window lies on the padded input: element `i` of result `o` is at `o * stride + i * dilation - before`. */
export interface Window {
  readonly size: Pair;
  readonly strides: Pair;
  /** The distance of two neighbouring elements of a window. */
  readonly dilations: Pair;
  /** Padding above and to the left. */
  readonly before: Pair;
  /** Padding below and to the right. */
  readonly after: Pair;
}

/** How many results a window has along each axis; what is left over at the end is not read. Negative or 0: it does not fit. */
export function slideOver(input: Pair, { size, strides, dilations, before, after }: Window): Pair {
  function along(axis: 0 | 1): number {
    const reach = (size[axis] - 1) * dilations[axis] + 1;
    return Math.floor((input[axis] + before[axis] + after[axis] - reach) / strides[axis]) + 1;
  }
  return [along(0), along(1)];
}

/** Elements at the end of each axis that no window of the last result reaches, counted in the padded input. */
export function leftOver(input: Pair, window: Window): Pair {
  const { size, strides, dilations, before, after } = window;
  const results = slideOver(input, window);
  function along(axis: 0 | 1): number {
    const read = (results[axis] - 1) * strides[axis] + (size[axis] - 1) * dilations[axis] + 1;
    return input[axis] + before[axis] + after[axis] - read;
  }
  return [along(0), along(1)];
}

/** Says what is wrong with a window, if anything is. */
export function faultOf(window: Window): string | undefined {
  const { size, strides, dilations, before, after } = window;
  if (![size, strides, dilations].every((pair) => isPair(pair, 1))) {
    return `a window of [${size.join(", ")}] with strides [${strides.join(", ")}] and dilations [${dilations.join(", ")}] is none`;
  }
  if (isPair(before, 0) && isPair(after, 0)) return undefined;
  return `[${before.join(", ")}] before and [${after.join(", ")}] after are no padding`;
}

/** The height and width of `[batch, channels, height, width]`. */
export function planeOf(shape: readonly number[]): Pair {
  return [shape[2] ?? 0, shape[3] ?? 0];
}

function isPair(pair: readonly number[], least: number): boolean {
  return pair.length === 2 && pair.every((size) => Number.isSafeInteger(size) && size >= least);
}
