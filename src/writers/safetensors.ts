// safetensors shards: one tensor for each feature, whose rows are the samples.
// https://huggingface.co/docs/safetensors/index#format

import { existsSync } from "node:fs";

import type { DType } from "../core/tensor.ts";
import { formatSafetensorsHeader, type StoredTensor } from "../readers/safetensors-header.ts";
import { metadataOf, type RowNote } from "../readers/safetensors-notes.ts";
import { createAssembled, type NamedColumn } from "./assembled.ts";
import type { ArrayLayout, RowType } from "./column-files.ts";
import type { WritableFormat } from "./format.ts";
import type { PartialFile } from "./output.ts";

/** The specification's names, in the order in which the reference implementation sorts tensors: the last one comes first. */
const dtypeNames: Readonly<Record<DType, string>> = {
  bool: "BOOL",
  uint8: "U8",
  int8: "I8",
  int16: "I16",
  uint16: "U16",
  float16: "F16",
  bfloat16: "BF16",
  int32: "I32",
  uint32: "U32",
  float32: "F32",
  float64: "F64",
  int64: "I64",
  uint64: "U64",
};
const dtypeOrder = Object.keys(dtypeNames);

const layout: ArrayLayout = {
  title: "safetensors",
  holds: () => true,
  // The one header of the file comes before all tensors.
  header: () => new Uint8Array(0),
  textEncoder: () => (text) => Buffer.from(text, "utf8"),
};

/**
 * safetensors files. Every sample must have the features of the first one, with the same dtype, shape and length of bytes;
 * lists, JSON and strings that end in NUL are refused. Bytes and strings, keys among them, are tensors of U8 with a note in the
 * metadata. Tensors lie in the order of the reference implementation; equal samples give equal bytes.
 */
export const writableSafetensors: WritableFormat = {
  name: "safetensors",
  extension: "safetensors",
  paths: (stem) => [pathOf(stem)],
  existing: (stem) => [pathOf(stem)].filter((path) => existsSync(path)),
  create: (stem) => createAssembled(pathOf(stem), { format: "safetensors", layout, nameRefusal, assemble }),
};

/** Appends the header, then the tensors. Each tensor's own file goes as soon as it is copied. */
function assemble(file: PartialFile, columns: readonly NamedColumn[], records: number): void {
  const ordered = [...columns].sort(inReferenceOrder);
  file.append(headerOf(ordered, records));
  for (const [, column] of ordered) {
    file.appendFile(column.file);
    column.file.abort();
  }
}

function headerOf(columns: readonly NamedColumn[], records: number): Uint8Array {
  const tensors: StoredTensor[] = [];
  const notes = new Map<string, RowNote>();
  let start = 0;
  for (const [name, { type, file }] of columns) {
    const end = start + file.bytes;
    const shape = [records, ...(type.kind === "tensor" ? type.shape : [type.byteLength])];
    tensors.push({ name, dtype: dtypeNames[dtypeOf(type)], shape, start, end });
    if (type.kind !== "tensor") notes.set(name, type.kind);
    start = end;
  }
  return formatSafetensorsHeader({ metadata: metadataOf(notes), tensors });
}

/** The widest dtypes first, so that all tensors are aligned; then by name. */
function inReferenceOrder([nameA, a]: NamedColumn, [nameB, b]: NamedColumn): number {
  const byDtype = dtypeOrder.indexOf(dtypeOf(b.type)) - dtypeOrder.indexOf(dtypeOf(a.type));
  return byDtype || Buffer.compare(Buffer.from(nameA), Buffer.from(nameB));
}

function dtypeOf(type: RowType): DType {
  return type.kind === "tensor" ? type.dtype : "uint8";
}

function nameRefusal(feature: string): string | undefined {
  if (feature === "__metadata__") return "the name is reserved for metadata";
  return /\p{Surrogate}/u.test(feature) ? "UTF-8 cannot hold half a surrogate pair" : undefined;
}

function pathOf(stem: string): string {
  return `${stem}.safetensors`;
}
