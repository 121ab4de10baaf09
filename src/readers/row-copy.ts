// A sample as one row of columns: the way of every record that no faster one can take.

import { KdataError } from "../core/errors.ts";
import { isTensor, type Sample } from "../core/sample.ts";
import { copyElements, elementCount, type Tensor, type TensorData } from "../core/tensor.ts";
import type { ColumnSpec } from "./format.ts";

/** Copies a sample with exactly these columns into a row; says whether it has them. */
export function copySampleRow(
  { features }: Sample,
  columns: readonly ColumnSpec[],
  targets: readonly TensorData[],
  row: number,
): boolean {
  if (Object.keys(features).length !== columns.length) return false;
  for (const [i, column] of columns.entries()) {
    const feature = features[column.name];
    if (feature === undefined || !isTensor(feature) || !isColumn(feature, column)) return false;
    copyElements(targets[i] as TensorData, feature.data, row * elementCount(column.shape));
  }
  return true;
}

function isColumn({ dtype, shape }: Tensor, column: ColumnSpec): boolean {
  return dtype === column.dtype && shape.length === column.shape.length && shape.every((n, i) => n === column.shape[i]);
}

/** The error for a sample that has other features than the columns that are read. */
export function otherColumns({ key, origin, features }: Sample, columns: readonly ColumnSpec[]): KdataError {
  const expected = columns.map(({ name, dtype, shape }) => `${name} ${dtype} [${shape.join(", ")}]`).join(", ");
  const found = Object.entries(features).map(([name, feature]) =>
    isTensor(feature) ? `${name} ${feature.dtype} [${feature.shape.join(", ")}]` : name,
  );
  const reason = `Cannot read columns: sample ${key} has ${found.join(", ")}; the columns are ${expected}`;
  return new KdataError("shape", reason, { at: origin });
}
