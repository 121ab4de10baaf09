// The TFRecord kernel: verifies and decodes many records of tf.train.Example at once, over bytes that are read into its memory. There is one
// a thread, as each takes gigabytes of address space: who uses it finds it as it was left only as long as nobody else has used it.

import { instantiateKernel, reserveHeap, type KernelExports } from "./wasm.ts";

/** Bytes of the file that are in memory at a time: reads of a warm file between 256 KB and 1 MB are fastest. */
const WINDOW_BYTES = 1 << 19;
/** Rows of all columns at a time: what was decoded is still in the second-level cache when it is copied. */
const COLUMN_BYTES = 1 << 18;
/** Slots with their names. A file with more names than fit is decoded without the kernel. */
const SLOT_BYTES = 1 << 17;
const MAX_ROWS = 2048;
/** The kernel copies 16 bytes at a time, and looks a few bytes ahead. */
const SLACK_BYTES = 64;
/** Numbers of a slot, and of a record. */
const SLOT_WORDS = 10;
const RECORD_WORDS = 3;

/** What the kernel does with the value of a name. */
export type KernelRole = "column" | "notes" | "key" | "skip";
const roles: readonly KernelRole[] = ["column", "notes", "key", "skip"];

/** What a whole number is stored as. */
export type KernelElement = "int64" | "int32" | "uint32" | "int16" | "uint16" | "int8" | "uint8" | "bool";
const elements: readonly (KernelElement | undefined)[] = [
  undefined,
  "int64",
  "int32",
  "uint32",
  "int16",
  "uint16",
  "int8",
  "uint8",
  "bool",
];

/** What may stand under a name. */
export interface KernelSlot {
  readonly name: Uint8Array;
  readonly role: KernelRole;
  readonly takesBytes: boolean;
  readonly takesFloats: boolean;
  /** Set where the column takes whole numbers. */
  readonly wholes: KernelElement | undefined;
  /** Of a row. */
  readonly count: number;
  readonly byteLength: number;
  /** What notes must be. */
  readonly content: Uint8Array | undefined;
}

interface TfrecordExports extends KernelExports {
  prepare(): void;
  layOut(slots: number, count: number, columns: number, withoutNotes: number, records: number): void;
  decode(start: number, end: number, most: number, longest: number): number;
}

/** The kernel of a thread. */
export class TfrecordKernel {
  /** All of its memory. */
  readonly bytes: Uint8Array;
  /** Where bytes of the file go. */
  readonly window: Uint8Array;
  /** Who laid it out and filled the window last. */
  user: object | undefined;
  /** How many rows it decodes at a time. */
  rows = 0;
  readonly #exports: TfrecordExports;
  readonly #words: Int32Array;
  readonly #records: number;
  readonly #slots: number;
  readonly #columns: number;
  #columnsAt: readonly number[] = [];

  private constructor() {
    const exports = instantiateKernel("tfrecord") as TfrecordExports;
    const recordBytes = 4 * RECORD_WORDS * MAX_ROWS;
    const base = reserveHeap(exports, recordBytes + SLOT_BYTES + COLUMN_BYTES + WINDOW_BYTES + SLACK_BYTES);
    exports.prepare();
    this.#exports = exports;
    this.#records = base;
    this.#slots = base + recordBytes;
    this.#columns = this.#slots + SLOT_BYTES;
    this.bytes = new Uint8Array(exports.memory.buffer);
    this.#words = new Int32Array(exports.memory.buffer);
    this.window = this.bytes.subarray(this.#columns + COLUMN_BYTES, this.#columns + COLUMN_BYTES + WINDOW_BYTES);
  }

  /** Gives the kernel of this thread. */
  static get(): TfrecordKernel {
    return (shared ??= new TfrecordKernel());
  }

  /** Says what records hold; `withoutNotes`: whether they may be without notes. `false` when it does not fit into the memory. */
  layOut(slots: readonly KernelSlot[], withoutNotes: boolean): boolean {
    const columns = slots.filter(({ role }) => role === "column");
    const rowBytes = columns.reduce((sum, { byteLength }) => sum + byteLength, 0);
    const textBytes = slots.reduce((sum, { name, content }) => sum + name.length + (content?.length ?? 0), 0);
    const left = COLUMN_BYTES - SLACK_BYTES * columns.length;
    this.rows = rowBytes === 0 ? MAX_ROWS : Math.min(MAX_ROWS, Math.floor(left / rowBytes));
    if (this.rows < 1 || 4 * SLOT_WORDS * slots.length + textBytes > SLOT_BYTES) return false;
    let textAt = this.#slots + 4 * SLOT_WORDS * slots.length;
    let columnAt = this.#columns;
    const columnsAt: number[] = [];
    for (const [i, { name, role, takesBytes, takesFloats, wholes, count, byteLength, content }] of slots.entries()) {
      const nameAt = textAt;
      this.bytes.set(name, nameAt);
      const contentAt = nameAt + name.length;
      if (content) this.bytes.set(content, contentAt);
      textAt = contentAt + (content?.length ?? 0);
      const lists = (takesBytes ? 1 : 0) + (takesFloats ? 2 : 0) + (wholes === undefined ? 0 : 4);
      const element = elements.indexOf(wholes);
      const data = role === "column" ? columnAt : contentAt;
      const words = [nameAt, name.length, roles.indexOf(role), lists, count, byteLength, data];
      this.#words.set([...words, content?.length ?? 0, element, 0], this.#slots / 4 + i * SLOT_WORDS);
      if (role !== "column") continue;
      columnsAt.push(columnAt);
      columnAt += Math.ceil((this.rows * byteLength) / 16) * 16 + 16;
    }
    this.#columnsAt = columnsAt;
    this.#exports.layOut(this.#slots, slots.length, columns.length, withoutNotes ? 1 : 0, this.#records);
    return true;
  }

  /**
   * Decodes the records that lie whole between `start` and `end` of the window, at most `rows`, up to the first one that is damaged,
   * longer than `longest` bytes or not as laid out, and says how many.
   */
  decode(start: number, end: number, rows: number, longest: number): number {
    const base = this.window.byteOffset;
    return this.#exports.decode(base + start, base + end, Math.min(rows, this.rows), Math.min(longest, WINDOW_BYTES));
  }

  /** Where in {@link bytes} the rows of a column begin, counted among the columns. */
  columnAt(column: number): number {
    return this.#columnsAt[column] ?? 0;
  }

  /** Where in the window a record that was decoded ends. */
  endOf(row: number): number {
    return this.#number(row, 0) - this.window.byteOffset;
  }

  /** Where in {@link bytes} the key of a record that was decoded begins; 0 when it says none. */
  keyStart(row: number): number {
    return this.#number(row, 1);
  }

  /** Where in {@link bytes} the key of a record that was decoded ends. */
  keyEnd(row: number): number {
    return this.#number(row, 2);
  }

  #number(row: number, word: number): number {
    return this.#words[this.#records / 4 + RECORD_WORDS * row + word] ?? 0;
  }
}

let shared: TfrecordKernel | undefined;
