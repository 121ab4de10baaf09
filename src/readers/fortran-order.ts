// Arrays whose first axis varies fastest, brought into the order of everything else here, where the last one does.

/**
 * Copies the elements of a column-major array into row-major order.
 *
 * `elementBytes` is the size of one element; `bytes` holds the whole array of `shape`.
 */
export function toRowMajor(bytes: Uint8Array, shape: readonly number[], elementBytes: number): Uint8Array {
  const target = new Uint8Array(bytes.length);
  const strides = rowMajorStrides(shape, elementBytes);
  const index = shape.map(() => 0);
  let to = 0;
  for (let from = 0; from < bytes.length; from += elementBytes) {
    for (let i = 0; i < elementBytes; i++) target[to + i] = bytes[from + i] as number;
    // Counts the index up, the first axis fastest, and moves `to` along.
    for (let axis = 0; axis < shape.length; axis++) {
      const stride = strides[axis] as number;
      index[axis] = (index[axis] as number) + 1;
      to += stride;
      if (index[axis] !== shape[axis]) break;
      to -= stride * (index[axis] as number);
      index[axis] = 0;
    }
  }
  return target;
}

function rowMajorStrides(shape: readonly number[], elementBytes: number): number[] {
  const strides: number[] = [];
  let stride = elementBytes;
  for (const size of shape.toReversed()) {
    strides.unshift(stride);
    stride *= size;
  }
  return strides;
}
