// The tensor of host memory: a dtype, a shape, and a typed array in row-major order.

/** The element types. `float16` and `bfloat16` are kept as their 16 bits; `bool` as bytes 0 and 1. */
export type DType = keyof typeof arrayTypes;

const arrayTypes = {
  bool: Uint8Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  float16: Uint16Array,
  bfloat16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

/** Every dtype, in the order of {@link DType}. */
export const dtypes = Object.keys(arrayTypes) as readonly DType[];

/** The typed array that holds elements of dtype `D`, over memory of its own or over shared memory. */
export type TensorData<D extends DType = DType> = {
  bool: Uint8Array;
  int8: Int8Array;
  uint8: Uint8Array;
  int16: Int16Array;
  uint16: Uint16Array;
  int32: Int32Array;
  uint32: Uint32Array;
  int64: BigInt64Array;
  uint64: BigUint64Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  float32: Float32Array;
  float64: Float64Array;
}[D];

/**
 * An n-dimensional array over host memory: row-major, without gaps.
 *
 * `data.length` is the product of `shape`; a scalar has the shape `[]`. The data may be a view of memory that is reused:
 * whoever hands out a tensor says for how long it is valid.
 */
export interface Tensor<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly number[];
  readonly data: TensorData<D>;
}

/** Counts the elements of a shape: the product of its sizes, 1 for a scalar. */
export function elementCount(shape: readonly number[]): number {
  let count = 1;
  for (const size of shape) count *= size;
  return count;
}

/** Says whether two shapes are the same. */
export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

/** Says how many bytes one element of a dtype takes. */
export function bytesPerElement(dtype: DType): number {
  return arrayTypes[dtype].BYTES_PER_ELEMENT;
}

/** Says whether a string names a dtype. */
export function isDType(name: string): name is DType {
  return Object.hasOwn(arrayTypes, name);
}

/**
 * Makes a tensor over given memory. The data is viewed, not copied.
 *
 * @throws {RangeError} when the number of elements is not the product of the shape.
 */
export function tensor<D extends DType>(dtype: D, shape: readonly number[], data: TensorData<D>): Tensor<D> {
  if (data.length !== elementCount(shape)) {
    throw new RangeError(`Cannot make tensor: ${data.length} elements do not fill the shape [${shape.join(", ")}]`);
  }
  return { dtype, shape, data };
}

/** Makes a tensor of zeros in fresh memory. */
export function zeros<D extends DType>(dtype: D, shape: readonly number[]): Tensor<D> {
  const data = new arrayTypes[dtype](elementCount(shape)) as unknown as TensorData<D>;
  return { dtype, shape, data };
}

/**
 * Views a part of a buffer as elements of a dtype, in the byte order of the machine.
 *
 * @throws {RangeError} when `byteOffset` is not a multiple of the element's size or the buffer is too short.
 */
export function viewElements<D extends DType>(
  dtype: D,
  buffer: ArrayBufferLike,
  byteOffset: number,
  length: number,
): TensorData<D> {
  return new arrayTypes[dtype](buffer as ArrayBuffer, byteOffset, length) as unknown as TensorData<D>;
}

/** Views the memory of a typed array as bytes. */
export function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * Copies elements into others of the same dtype, from element `start` of the target on.
 *
 * @throws {RangeError} when they do not fit.
 */
export function copyElements(target: TensorData, source: TensorData, start = 0): void {
  // Both have one dtype, but the compiler cannot pair the members of two unions: any one of them stands for all.
  (target as Uint8Array).set(source as Uint8Array, start);
}

/** Copies a tensor into fresh memory. */
export function copyTensor<D extends DType>(source: Tensor<D>): Tensor<D> {
  return { dtype: source.dtype, shape: source.shape, data: source.data.slice() as TensorData<D> };
}
