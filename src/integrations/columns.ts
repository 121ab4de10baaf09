// The columns of a batch for a library that keeps what it is given: found by name, copied out of the loader's memory, and
// brought to the element types that the library has.

import { isTensorColumn, type Batch, type Column } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { decodeHalf, isHalfDType } from "../core/half-float.ts";
import { zeros, type DType, type Tensor } from "../core/tensor.ts";

/** Which columns a library is given: its own name for each, and the feature of the batch that it is. */
export type ColumnNames = Readonly<Record<string, string>>;

/** The element types that libraries share. */
type NarrowDType = "bool" | "int32" | "uint32" | "float32" | "float64";

/** Which element type of a library stands for each dtype. */
export type ElementTypes<D extends NarrowDType> = Readonly<Record<DType, D>>;

/** A column of tensors as a library takes it: memory of its own, not shared, in one of its element types. */
export type OwnTensor<D extends NarrowDType> = { [K in D]: Tensor<K> }[D];

/**
 * Lists the columns to hand over: those that are named, otherwise every tensor and every string under its own name.
 *
 * @throws {KdataError} `shape` when the batch lacks one that is named, or one is neither; the message lists what there is.
 */
export function columnsOf(
  action: string,
  batch: Batch,
  names?: ColumnNames,
): readonly (readonly [name: string, column: Tensor | readonly string[]])[] {
  if (names) {
    return Object.entries(names).map(([name, feature]) => [name, columnOf(action, batch, feature)] as const);
  }
  return Object.entries(batch.features).flatMap(([name, column]) =>
    isTensorColumn(column) || isStrings(column) ? [[name, column] as const] : [],
  );
}

/**
 * Finds one column: tensors or strings.
 *
 * @throws {KdataError} `shape` when there is none of the name, or it is neither; the message lists what there is.
 */
export function columnOf(action: string, batch: Batch, feature: string): Tensor | readonly string[] {
  const column = Object.hasOwn(batch.features, feature) ? batch.features[feature] : undefined;
  if (column === undefined) {
    const names = Object.keys(batch.features).join(", ");
    throw new KdataError("shape", `${action}: the batch has no feature '${feature}' (it has: ${names})`);
  }
  if (isTensorColumn(column) || isStrings(column)) return column;
  throw new KdataError("shape", `${action}: '${feature}' is neither a tensor nor a string`, {
    hint: "decode it with a transform first",
  });
}

/**
 * Copies a tensor into memory of its own, in the element type that `types` gives for its dtype.
 *
 * 16-bit floats become exact, 64-bit floats are rounded to the nearest.
 *
 * @throws {KdataError} `shape` when an integer is beyond the range of the element type; the message names it and its sample.
 */
export function ownTensor<D extends NarrowDType>(
  action: string,
  batch: Batch,
  source: Tensor,
  types: ElementTypes<D>,
): OwnTensor<D> {
  const { dtype, shape } = source;
  const target: Tensor<NarrowDType> = zeros(types[dtype], shape);
  if (isHalfDType(dtype)) {
    for (let i = 0; i < target.data.length; i++) target.data[i] = decodeHalf(dtype, Number(source.data[i]));
  } else if (source.data instanceof BigInt64Array || source.data instanceof BigUint64Array) {
    for (let i = 0; i < target.data.length; i++) target.data[i] = Number(source.data[i]);
  } else {
    target.data.set(source.data);
  }
  if (source.dtype !== target.dtype && !target.dtype.startsWith("float")) checkKept(action, batch, source, target);
  return target as OwnTensor<D>;
}

function checkKept(action: string, batch: Batch, source: Tensor, target: Tensor): void {
  for (let i = 0; i < target.data.length; i++) {
    // Loosely: one may be a bigint.
    if (source.data[i] == target.data[i]) continue;
    const row = Math.floor((i * batch.size) / target.data.length);
    throw new KdataError(
      "shape",
      `${action}: ${String(source.data[i])} is beyond ${target.dtype} (sample ${batch.keys[row] ?? row})`,
    );
  }
}

function isStrings(column: Column): column is readonly string[] {
  return Array.isArray(column) && column.length > 0 && typeof column[0] === "string";
}
