// What other code calls an array, as a tensor of kdata: typed arrays, plain numbers, and the tensors of libraries.

import {
  elementCount,
  isDType,
  tensor,
  viewElements,
  type DType,
  type Tensor,
  type TensorData,
} from "../core/tensor.ts";

/** Numbers in plain arrays, row-major; the arrays of one level are equally long. */
export type NestedNumbers = number | readonly NestedNumbers[];

/** A tensor whose elements lie elsewhere, as those of TensorFlow.js and jax-js do: `data()` fetches them. */
export interface RemoteTensor {
  readonly shape: readonly number[];
  readonly dtype: string;
  data(): Promise<ArrayLike<number | string>>;
}

/** Elements with their shape; without a `dtype` it is that of the typed array. */
export interface ShapedElements {
  readonly shape: readonly number[];
  readonly dtype?: DType;
  readonly data: TensorData;
}

/** Everything that {@link readValue} takes. */
export type ForeignValue =
  | ShapedElements
  | RemoteTensor
  | TensorData
  | Uint8ClampedArray
  | NestedNumbers
  | bigint
  | boolean
  | string
  | readonly string[];

/** By the class of a typed array. `Float16Array` is not a name that every Node knows. */
const dtypesByClass: Readonly<Record<string, DType>> = {
  Int8Array: "int8",
  Uint8Array: "uint8",
  Buffer: "uint8",
  Uint8ClampedArray: "uint8",
  Int16Array: "int16",
  Uint16Array: "uint16",
  Int32Array: "int32",
  Uint32Array: "uint32",
  BigInt64Array: "int64",
  BigUint64Array: "uint64",
  Float16Array: "float16",
  Float32Array: "float32",
  Float64Array: "float64",
};

/**
 * Reads a value as a tensor, a string or strings. Typed arrays are viewed, not copied.
 *
 * A typed array is a tensor of one axis, a number or a boolean a scalar, nested arrays of numbers a tensor of as many axes. Plain numbers
 * become `numberDType`. `what` names the value in messages: `'x' of sample/3`.
 *
 * @throws {TypeError} when it is none of these, or nested arrays differ in length.
 * @throws {RangeError} when the elements do not fill the shape.
 */
export async function readValue(
  value: ForeignValue,
  what: string,
  numberDType: "float32" | "int32" = "float32",
): Promise<Tensor | string | readonly string[]> {
  if (typeof value === "string" || isStrings(value)) return value;
  if (typeof value === "boolean") return tensor("bool", [], Uint8Array.of(Number(value)));
  if (typeof value === "bigint") return tensor("int64", [], BigInt64Array.of(value));
  if (typeof value === "number" || Array.isArray(value)) return fromNumbers(value as NestedNumbers, what, numberDType);
  if (ArrayBuffer.isView(value)) return viewArray(value, [value.length], undefined, what);
  if (typeof value !== "object" || !("shape" in value)) throw refuse(what);
  if (!isFetched(value)) return viewArray(value.data, value.shape, value.dtype, what);
  const elements = await value.data();
  if (value.dtype === "string") return strings(elements as ArrayLike<string>, value.shape, what);
  if (!ArrayBuffer.isView(elements)) throw refuse(what);
  return viewArray(elements as unknown as TensorData, value.shape, value.dtype, what);
}

function viewArray(
  data: TensorData | Uint8ClampedArray,
  shape: readonly number[],
  dtype: string | undefined,
  what: string,
): Tensor {
  const found = dtypesByClass[(data as object).constructor.name];
  if (found === undefined) throw refuse(what);
  // Libraries keep booleans as bytes or as 32-bit integers.
  if (dtype === "bool" && found !== "bool") {
    return tensor(
      "bool",
      shape,
      Uint8Array.from(data as Uint8Array, (element) => Number(element !== 0)),
    );
  }
  const own = dtype !== undefined && isDType(dtype) ? dtype : found;
  const isSame = own === found || (found === "uint16" && (own === "float16" || own === "bfloat16"));
  if (!isSame) throw new TypeError(`Cannot read ${what}: its dtype is ${own}, its elements are ${found}`);
  return tensor(own, shape, viewElements(own, data.buffer, data.byteOffset, data.length));
}

function fromNumbers(numbers: NestedNumbers, what: string, dtype: "float32" | "int32"): Tensor {
  const shape: number[] = [];
  for (let level = numbers; typeof level !== "number"; level = level[0] ?? 0) {
    shape.push(level.length);
    if (level.length === 0) break;
  }
  const flat: unknown[] = shape.length === 0 ? [numbers] : (numbers as readonly unknown[]).flat(shape.length - 1);
  if (flat.length !== elementCount(shape) || !flat.every((number) => typeof number === "number")) {
    throw new TypeError(`Cannot read ${what}: its arrays are not of numbers, or not of one length`);
  }
  if (dtype === "float32") return tensor("float32", shape, Float32Array.from(flat));
  const data = Int32Array.from(flat);
  const bad = flat.find((number, i) => number !== data[i]);
  if (bad !== undefined) throw new RangeError(`Cannot read ${what}: ${bad} is no int32`);
  return tensor("int32", shape, data);
}

function isFetched(value: ShapedElements | RemoteTensor): value is RemoteTensor {
  return typeof value.data === "function";
}

function strings(elements: ArrayLike<string>, shape: readonly number[], what: string): string | readonly string[] {
  if (shape.length > 1) throw new TypeError(`Cannot read ${what}: strings have one axis, not ${shape.length}`);
  return shape.length === 0 ? (elements[0] ?? "") : Array.from(elements);
}

function isStrings(value: ForeignValue): value is readonly string[] {
  return Array.isArray(value) && typeof value[0] === "string";
}

function refuse(what: string): TypeError {
  return new TypeError(`Cannot read ${what}: it is no typed array, no number, no string and no tensor`);
}
