// Shape inference of the primitives over windows: the result's spec, or in words why operands and window do not fit.

import { formatSpec, type OpOf, type ValueSpec } from "./primitives.ts";
import { faultOf, planeOf, slideOver, type Pair, type Window } from "./windows.ts";

/** Infers `conv2d` of planes and kernel. */
export function inferConv2d(
  { window, groups }: OpOf<"conv2d">,
  [x, kernel]: readonly [ValueSpec, ValueSpec],
): ValueSpec | string {
  const fault = faultOfPlanes(x) ?? faultOf(window) ?? faultOfKernel(kernel, window, groups);
  if (fault !== undefined) return fault;
  const [batch = 0, channels = 0] = x.shape;
  const [, , perGroup = 0, filters = 0] = kernel.shape;
  if (channels !== perGroup * groups) {
    return `the kernel ${formatSpec(kernel)} takes ${perGroup * groups} channels, ${formatSpec(x)} has ${channels}`;
  }
  const results = slideOver(planeOf(x.shape), window);
  return isPlane(results) ? planes(batch, filters, results) : tooLarge(window, x);
}

/** Infers `conv2dInputGradient` of the result's gradient and the kernel. */
export function inferConv2dInputGradient(
  { window, groups, inputSize }: OpOf<"conv2dInputGradient">,
  [gradient, kernel]: readonly [ValueSpec, ValueSpec],
): ValueSpec | string {
  const fault = faultOfPlanes(gradient) ?? faultOf(window) ?? faultOfKernel(kernel, window, groups);
  if (fault !== undefined) return fault;
  const [batch = 0, filters = 0] = gradient.shape;
  const [, , perGroup = 0, kernelFilters = 0] = kernel.shape;
  if (filters !== kernelFilters) {
    return `the kernel ${formatSpec(kernel)} has ${kernelFilters} filters, ${formatSpec(gradient)} ${filters} channels`;
  }
  return faultOfResults(gradient, inputSize, window) ?? planes(batch, perGroup * groups, inputSize);
}

/** Infers `conv2dKernelGradient` of the planes and the result's gradient. */
export function inferConv2dKernelGradient(
  { window, groups }: OpOf<"conv2dKernelGradient">,
  [x, gradient]: readonly [ValueSpec, ValueSpec],
): ValueSpec | string {
  const fault = faultOfPlanes(x) ?? faultOfPlanes(gradient) ?? faultOf(window);
  if (fault !== undefined) return fault;
  const [batch = 0, channels = 0] = x.shape;
  const [gradientBatch = 0, filters = 0] = gradient.shape;
  if (batch !== gradientBatch) return `${formatSpec(x)} and ${formatSpec(gradient)} differ in the batch`;
  if (!dividesInto(groups, channels, filters)) {
    return `${channels} channels and ${filters} filters do not fall into ${groups} groups`;
  }
  const wrong = faultOfResults(gradient, planeOf(x.shape), window);
  return wrong ?? { shape: [...window.size, channels / groups, filters], dtype: "float32" };
}

/** Infers `maxPool2d` and `avgPool2d` of planes. */
export function inferPool2d({ window }: { readonly window: Window }, [x]: readonly [ValueSpec]): ValueSpec | string {
  const fault = faultOfPlanes(x) ?? faultOfPool(window);
  if (fault !== undefined) return fault;
  const [batch = 0, channels = 0] = x.shape;
  const results = slideOver(planeOf(x.shape), window);
  return isPlane(results) ? planes(batch, channels, results) : tooLarge(window, x);
}

/** Infers `maxPool2dGradient` of the planes and the result's gradient. */
export function inferMaxPool2dGradient(
  { window }: OpOf<"maxPool2dGradient">,
  [x, gradient]: readonly [ValueSpec, ValueSpec],
): ValueSpec | string {
  const fault = faultOfPlanes(x) ?? faultOfPlanes(gradient) ?? faultOfPool(window);
  if (fault !== undefined) return fault;
  if (x.shape[0] !== gradient.shape[0] || x.shape[1] !== gradient.shape[1]) {
    return `${formatSpec(x)} and ${formatSpec(gradient)} differ in batch or channels`;
  }
  return faultOfResults(gradient, planeOf(x.shape), window) ?? x;
}

/** Infers `avgPool2dGradient` of the result's gradient. */
export function inferAvgPool2dGradient(
  { window, inputSize }: OpOf<"avgPool2dGradient">,
  [gradient]: readonly [ValueSpec],
): ValueSpec | string {
  const [batch = 0, channels = 0] = gradient.shape;
  const fault = faultOfPlanes(gradient) ?? faultOfPool(window) ?? faultOfResults(gradient, inputSize, window);
  return fault ?? planes(batch, channels, inputSize);
}

function faultOfPlanes(x: ValueSpec): string | undefined {
  if (x.dtype === "float32" && x.shape.length === 4) return undefined;
  return `it takes float32 [batch, channels, height, width], not ${formatSpec(x)}`;
}

function faultOfKernel(kernel: ValueSpec, { size }: Window, groups: number): string | undefined {
  const [height, width, , filters = 0] = kernel.shape;
  const fits =
    kernel.dtype === "float32" && kernel.shape.length === 4 && height === size[0] && width === size[1] && filters > 0;
  if (!fits) return `the kernel is ${formatSpec(kernel)}, not float32 [${size.join(", ")}, channels / groups, filters]`;
  return dividesInto(groups, filters) ? undefined : `${filters} filters do not fall into ${groups} groups`;
}

function faultOfPool(window: Window): string | undefined {
  const fault = faultOf(window);
  if (fault !== undefined) return fault;
  if (window.dilations.some((dilation) => dilation !== 1)) return "pooling takes no dilations";
  const onlyPadding = window.size.some(
    (size, axis) => (window.before[axis] ?? 0) >= size || (window.after[axis] ?? 0) >= size,
  );
  return onlyPadding
    ? `padding as large as the window [${window.size.join(", ")}] has windows of nothing else`
    : undefined;
}

/** Says how the gradient's planes differ from what the window gives over planes of `inputSize`. */
function faultOfResults(gradient: ValueSpec, inputSize: Pair, window: Window): string | undefined {
  const [height, width] = slideOver(inputSize, window);
  if (isPlane(inputSize) && height === gradient.shape[2] && width === gradient.shape[3]) return undefined;
  return `the window gives [${height}, ${width}] over [${inputSize.join(", ")}], the gradient is ${formatSpec(gradient)}`;
}

function dividesInto(groups: number, ...counts: readonly number[]): boolean {
  return Number.isSafeInteger(groups) && groups >= 1 && counts.every((count) => count > 0 && count % groups === 0);
}

function isPlane(size: Pair): boolean {
  return size.every((count) => Number.isSafeInteger(count) && count >= 1);
}

function tooLarge({ size, dilations }: Window, x: ValueSpec): string {
  const spread = dilations.some((dilation) => dilation !== 1) ? ` with dilations [${dilations.join(", ")}]` : "";
  return `a window of [${size.join(", ")}]${spread} does not fit into ${formatSpec(x)}`;
}

function planes(batch: number, channels: number, size: Pair): ValueSpec {
  return { shape: [batch, channels, ...size], dtype: "float32" };
}
