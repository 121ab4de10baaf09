// The entries that a message of columns can have, by name: what may stand in each, and where its elements go.

import { bytesPerElement, elementCount, type DType, type TensorData } from "../core/tensor.ts";
import type { KernelElement, KernelSlot } from "../kernels/tfrecord.ts";
import { listKindOf } from "./feature-notes.ts";
import type { FeatureSpec } from "./feature-spec.ts";
import type { ColumnSpec } from "./format.ts";
import { encodeUtf8 } from "./text.ts";

/** What is done with the entry of a name. */
export type Role = "column" | "notes" | "key" | "skip" | "refuse";

/** An entry of a message, recognised by its name. */
export interface Slot {
  readonly name: Uint8Array;
  readonly role: Role;
  readonly dtype: DType;
  /** Of a row; 0 where the role is no column. */
  readonly count: number;
  readonly byteLength: number;
  /** The lists that can hold the column. */
  readonly takesBytes: boolean;
  readonly takesFloats: boolean;
  readonly takesInt64s: boolean;
  readonly isBool: boolean;
  readonly isInt64: boolean;
  data: TensorData;
  bytes: Uint8Array;
  /** The memory as words, where it is aligned to them. */
  words: Int32Array | undefined;
  /** The message that had it last: a second entry in one message is not of the common form. */
  message: number;
}

/** Makes the slot of a column; with a spec, any list that can hold it does. */
export function columnSlot({ name, dtype, shape }: ColumnSpec, spec: FeatureSpec | undefined): Slot {
  const count = elementCount(shape);
  const listKind = listKindOf(dtype, shape);
  // Without a spec the convention says which list holds the column; with one, any that can.
  const isWhole = dtype === "bool" || (dtype.includes("int") && dtype !== "uint64");
  return {
    name: encodeUtf8(name, "Cannot read tfrecord: the name of a column"),
    role: "column",
    dtype,
    count,
    byteLength: count * bytesPerElement(dtype),
    // The general decoder looks at each bool of raw bytes.
    takesBytes: spec ? dtype !== "bool" : listKind === "bytes",
    takesFloats: dtype === "float32",
    takesInt64s: spec ? isWhole : listKind === "int64",
    isBool: dtype === "bool",
    isInt64: dtype === "int64",
    data: new Uint8Array(0),
    bytes: new Uint8Array(0),
    words: undefined,
    message: 0,
  };
}

/** Makes the slot of a name that is no column. */
export function otherSlot(name: string, role: Role): Slot {
  const none = columnSlot({ name, dtype: "uint64", shape: [0] }, undefined);
  return { ...none, role, takesBytes: false };
}

/** Whether a list alone, without a note, is read as this column. */
export function isPlain({ dtype, shape }: ColumnSpec): boolean {
  return shape.length === 1 && (dtype === "float32" || dtype === "int64");
}

/** Says what the kernel needs to know of a slot; `undefined` where it is to leave the message. `notes` are those that fit. */
export function kernelSlot(slot: Slot, notes: Uint8Array | undefined): KernelSlot | undefined {
  const { name, role, count, byteLength, takesBytes, takesFloats, takesInt64s, dtype } = slot;
  if (role === "refuse" || (role === "notes" && notes === undefined)) return undefined;
  const content = role === "notes" ? notes : undefined;
  const wholes = takesInt64s ? wholeElement(dtype) : undefined;
  return { name, role, count, byteLength, takesBytes, takesFloats, wholes, content };
}

function wholeElement(dtype: DType): KernelElement | undefined {
  switch (dtype) {
    case "int64":
    case "int32":
    case "uint32":
    case "int16":
    case "uint16":
    case "int8":
    case "uint8":
    case "bool":
      return dtype;
    case "float16":
    case "bfloat16":
    case "float32":
    case "float64":
    case "uint64":
      return undefined;
  }
}
