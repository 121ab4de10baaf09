// The hot path of TFRecord: tf.train.Example messages of the common form straight into the rows of columns. The common form is
// what every protobuf library writes: the name before the value, one list in one packed run, no length longer than it must be,
// no unknown field. Of any other record this file says so, and ExampleDecoder decodes it: it never guesses.

import { KdataError, type Position } from "../core/errors.ts";
import { bytesOf } from "../core/tensor.ts";
import type { KernelSlot, TfrecordKernel } from "../kernels/tfrecord.ts";
import { columnSlot, isPlain, kernelSlot, otherSlot, type Slot } from "./example-slots.ts";
import { KEY_NAME, parseNotes, SCHEMA_NAME } from "./feature-notes.ts";
import type { FeatureSpec, WantedFeatures } from "./feature-spec.ts";
import type { ColumnRows, ColumnSpec } from "./format.ts";
import { decodeUtf8 } from "./text.ts";

/** Tags, as in example.ts: field number times 8 plus wire type 2. */
const FIELD_1 = 0x0a;
const FIELD_2 = 0x12;
const BYTES_LIST = 0x0a;
const FLOAT_LIST = 0x12;
const INT64_LIST = 0x1a;

/** Up to so many words a loop is faster than the view that `set` needs. */
const LOOP_WORDS = 64;
/** Names that are kept to be recognised in the next record. A file with more is decoded in the general way. */
const MAX_KNOWN_NAMES = 1024;

/** Decodes messages of the common form into rows. */
export class ExampleColumns {
  readonly #columns: readonly ColumnSpec[];
  readonly #wanted: WantedFeatures | undefined;
  /** Whether any record can have exactly these columns. */
  readonly #isPossible: boolean;
  /** The slots of the columns first, in their order. */
  readonly #slots: Slot[];
  /** The slot that an entry had in the last message, which it mostly has in the next one too. */
  readonly #predicted: Slot[] = [];
  /** Two words for numbers that are not stored as 64 bits. */
  readonly #word = new Int32Array(2);
  #message = 0;
  #notes = new Uint8Array(0);
  #notesFit = false;
  readonly #plainFits: boolean;
  /** Where the two reserved values lie in the message; -1 where they are not there. */
  #notesStart = -1;
  #notesEnd = -1;
  #keyStart = -1;
  #keyEnd = -1;
  #version = 0;

  /** `wanted` is what the samples were asked to have; without it they have all features of their record. */
  constructor(columns: readonly ColumnSpec[], wanted: WantedFeatures | undefined) {
    this.#columns = columns;
    this.#wanted = wanted;
    this.#isPossible =
      wanted === undefined ||
      (wanted.size === columns.length &&
        columns.every(({ name, dtype, shape }) => wanted.has(name) && fitsSpec(dtype, shape, wanted.get(name))));
    this.#slots = columns.map((column) => columnSlot(column, wanted?.get(column.name)));
    this.#slots.push(otherSlot(SCHEMA_NAME, "notes"), otherSlot(KEY_NAME, "key"));
    this.#plainFits = columns.every((column) => wanted?.get(column.name) !== undefined || isPlain(column));
  }

  /** Says where the rows of the following messages are. */
  into({ columns }: ColumnRows): void {
    for (const [i, data] of columns.entries()) {
      const slot = this.#slots[i];
      if (slot === undefined || slot.data === data) continue;
      slot.data = data;
      slot.bytes = bytesOf(data);
      const { buffer, byteOffset, byteLength } = data;
      slot.words = byteOffset % 4 === 0 ? new Int32Array(buffer, byteOffset, byteLength >>> 2) : undefined;
    }
  }

  /**
   * Decodes the message from `start` to `end` of the bytes, which `view` views too, into a row and says whether it could; if not, the row is left undefined. Afterwards
   * {@link hasKey} and {@link key} are those of the message.
   */
  decode(bytes: Uint8Array, view: DataView, start: number, end: number, row: number): boolean {
    if (!this.#isPossible || bytes[start] !== FIELD_1) return false;
    const length = readLength(bytes, start + 1);
    let position = start + 1 + lengthBytes(length);
    if (length < 0 || position + length !== end) return false;
    this.#message++;
    this.#notesStart = this.#keyStart = -1;
    let columns = 0;
    for (let entry = 0; position < end; entry++) {
      if (bytes[position] !== FIELD_1) return false;
      const entryLength = readLength(bytes, position + 1);
      const nameTag = position + 1 + lengthBytes(entryLength);
      const entryEnd = nameTag + entryLength;
      if (entryLength < 0 || entryEnd > end || bytes[nameTag] !== FIELD_1) return false;
      const nameLength = readLength(bytes, nameTag + 1);
      const nameStart = nameTag + 1 + lengthBytes(nameLength);
      const valueTag = nameStart + nameLength;
      if (nameLength < 0 || valueTag >= entryEnd || bytes[valueTag] !== FIELD_2) return false;
      const valueLength = readLength(bytes, valueTag + 1);
      const value = valueTag + 1 + lengthBytes(valueLength);
      if (valueLength < 0 || value + valueLength !== entryEnd) return false;
      let slot = this.#predicted[entry];
      if (slot === undefined || !equalBytes(slot.name, bytes, nameStart, valueTag)) {
        slot = this.#find(entry, bytes, nameStart, valueTag);
        if (slot === undefined) return false;
      }
      if (slot.message === this.#message) return false;
      slot.message = this.#message;
      if (slot.role !== "skip" && !this.#decodeValue(slot, bytes, view, value, entryEnd, row)) return false;
      if (slot.role === "column") columns++;
      position = entryEnd;
    }
    return columns === this.#columns.length && this.#areNotesRight(bytes);
  }

  /** Another number whenever {@link kernelSlots} gives other slots. */
  get version(): number {
    return this.#version;
  }

  /** Whether a message may be without notes. */
  get takesNoNotes(): boolean {
    return this.#plainFits;
  }

  /** Says what the kernel needs to know to decode as {@link decode} does; `undefined` where no message can be decoded. */
  kernelSlots(): KernelSlot[] | undefined {
    if (!this.#isPossible) return undefined;
    const notes = this.#notesFit ? this.#notes : undefined;
    return this.#slots.map((slot) => kernelSlot(slot, notes)).filter((slot) => slot !== undefined);
  }

  /** Copies the first `count` rows that the kernel has decoded into the rows from `row` on. */
  takeRows(kernel: TfrecordKernel, row: number, count: number): void {
    for (let i = 0; i < this.#columns.length; i++) {
      const slot = this.#slots[i];
      if (slot === undefined) continue;
      const start = kernel.columnAt(i);
      slot.bytes.set(kernel.bytes.subarray(start, start + count * slot.byteLength), row * slot.byteLength);
    }
  }

  /** Whether the last message says its key. */
  get hasKey(): boolean {
    return this.#keyStart >= 0;
  }

  /**
   * The key that the last message says.
   *
   * @throws {KdataError} `format` when it is not UTF-8.
   */
  key(bytes: Uint8Array, at: Position): string {
    return exampleKey(bytes, this.#keyStart, this.#keyEnd, at);
  }

  /** One Feature: one list of one packed run, or one value of bytes. */
  #decodeValue(slot: Slot, bytes: Uint8Array, view: DataView, start: number, end: number, row: number): boolean {
    const kind = bytes[start] ?? 0;
    const listLength = readLength(bytes, start + 1);
    const list = start + 1 + lengthBytes(listLength);
    if (listLength < 0 || list + listLength !== end || bytes[list] !== FIELD_1) return false;
    const runLength = readLength(bytes, list + 1);
    const run = list + 1 + lengthBytes(runLength);
    if (runLength < 0 || run + runLength !== end) return false;
    switch (kind) {
      case FLOAT_LIST:
        if (!slot.takesFloats || runLength !== slot.byteLength) return false;
        copyBytes(slot, bytes, view, run, end, row);
        return true;
      case INT64_LIST:
        return slot.takesInt64s && this.#copyInt64s(slot, bytes, run, end, row);
      case BYTES_LIST:
        if (slot.role !== "column") return this.#keepReserved(slot, run, end);
        if (!slot.takesBytes || runLength !== slot.byteLength) return false;
        copyBytes(slot, bytes, view, run, end, row);
        return true;
      default:
        return false;
    }
  }

  #keepReserved(slot: Slot, start: number, end: number): boolean {
    if (slot.role === "notes") {
      this.#notesStart = start;
      this.#notesEnd = end;
      return true;
    }
    this.#keyStart = start;
    this.#keyEnd = end;
    return slot.role === "key";
  }

  #copyInt64s(slot: Slot, bytes: Uint8Array, start: number, end: number, row: number): boolean {
    const { count, words, isInt64, isBool } = slot;
    let position = start;
    if (isInt64 && words !== undefined) {
      for (let word = 2 * row * count, last = word + 2 * count; word < last; word += 2) {
        position = readVarint(bytes, position, end, words, word);
        if (position < 0) return false;
      }
      return position === end;
    }
    // Every dtype of at most 32 bits: what does not come back as it was, does not fit.
    const data = slot.data as Int32Array;
    const pair = this.#word;
    for (let element = row * count, last = element + count; element < last; element++) {
      position = readVarint(bytes, position, end, pair, 0);
      if (position < 0) return false;
      const value = (pair[1] as number) * 2 ** 32 + ((pair[0] as number) >>> 0);
      data[element] = value;
      if (data[element] !== value || (isBool && value > 1)) return false;
    }
    return position === end;
  }

  /** Finds an entry that was not predicted, and predicts it from now on. */
  #find(entry: number, bytes: Uint8Array, start: number, end: number): Slot | undefined {
    let slot = this.#slots.find(({ name }) => equalBytes(name, bytes, start, end));
    if (slot === undefined) {
      if (this.#slots.length >= MAX_KNOWN_NAMES) return undefined;
      slot = this.#unwantedSlot(bytes.slice(start, end));
      this.#slots.push(slot);
      this.#version++;
    }
    if (entry <= this.#predicted.length) this.#predicted[entry] = slot;
    return slot;
  }

  /** A name that is no column: passed over where it is not wanted; anywhere else, and where it is no text, it is refused. */
  #unwantedSlot(name: Uint8Array): Slot {
    return { ...otherSlot("", this.#wanted !== undefined && isUtf8(name) ? "skip" : "refuse"), name };
  }

  /** Whether the notes of the message, or their absence, give the columns their dtypes and shapes. */
  #areNotesRight(bytes: Uint8Array): boolean {
    if (this.#notesStart < 0) return this.#plainFits;
    if (!equalBytes(this.#notes, bytes, this.#notesStart, this.#notesEnd)) {
      this.#notes = bytes.slice(this.#notesStart, this.#notesEnd);
      this.#notesFit = this.#doNotesFit();
      this.#version++;
    }
    return this.#notesFit;
  }

  #doNotesFit(): boolean {
    const unnoted = this.#columns.filter(({ name }) => this.#wanted?.get(name) === undefined);
    if (unnoted.length === 0) return true; // the specs say it all
    const notes = parsed(this.#notes);
    if (notes === undefined) return false;
    const names = new Set(this.#columns.map(({ name }) => name));
    if (this.#wanted === undefined && ![...notes.keys()].every((name) => names.has(name))) return false;
    return unnoted.every((column) => {
      const note = notes.get(column.name);
      if (note === undefined) return isPlain(column);
      return typeof note !== "string" && note[0] === column.dtype && equalShapes(note[1], column.shape);
    });
  }
}

/**
 * Decodes the key that a message says.
 *
 * @throws {KdataError} `format` when it is not UTF-8.
 */
export function exampleKey(bytes: Uint8Array, start: number, end: number, at: Position): string {
  return decodeUtf8(bytes.subarray(start, end), `Cannot read tfrecord: ${KEY_NAME}`, at);
}

function fitsSpec(dtype: string, shape: readonly number[], spec: FeatureSpec | undefined): boolean {
  if (spec === undefined) return true;
  if (dtype !== spec.dtype || shape.length !== spec.shape.length) return false;
  return shape.every((size, axis) => spec.shape[axis] === null || spec.shape[axis] === size);
}

function equalShapes(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, axis) => size === b[axis]);
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    decodeUtf8(bytes, "", { source: "" });
    return true;
  } catch (error) {
    if (error instanceof KdataError) return false;
    throw error;
  }
}

/** The notes; `undefined` where they are none, which the general decoder reports. */
function parsed(bytes: Uint8Array): ReturnType<typeof parseNotes> | undefined {
  try {
    return parseNotes(bytes, { source: "" });
  } catch (error) {
    if (error instanceof KdataError) return undefined;
    throw error;
  }
}

/** Reads a length of at most four bytes, none of them more than it needs; -1 for any other. */
function readLength(bytes: Uint8Array, position: number): number {
  const first = bytes[position] as number;
  if (first < 0x80) return first;
  const second = bytes[position + 1] as number;
  if (second < 0x80) return second === 0 ? -1 : (first & 0x7f) | (second << 7);
  const third = bytes[position + 2] as number;
  if (third < 0x80) return third === 0 ? -1 : (first & 0x7f) | ((second & 0x7f) << 7) | (third << 14);
  const fourth = bytes[position + 3] as number;
  if (!(fourth < 0x80) || fourth === 0) return -1;
  return (first & 0x7f) | ((second & 0x7f) << 7) | ((third & 0x7f) << 14) | (fourth << 21);
}

/** How many bytes `readLength` has read. */
function lengthBytes(length: number): number {
  if (length < 0x80) return 1;
  return length < 0x4000 ? 2 : length < 0x200000 ? 3 : 4;
}

/** Reads a varint of at most 64 bits into two words, low and high, and says where it ends; -1 where it does not before `end`. */
function readVarint(bytes: Uint8Array, start: number, end: number, words: Int32Array, word: number): number {
  let position = start;
  let low = 0;
  let high = 0;
  for (let shift = 0; ; shift += 7) {
    if (position >= end || shift > 63) return -1;
    const byte = bytes[position++] as number;
    const bits = byte & 0x7f;
    if (shift < 32) low |= bits << shift;
    // The fifth byte has four bits for the low word and three for the high one.
    if (shift === 28) high = bits >>> 4;
    else if (shift > 28) high |= bits << (shift - 32);
    if (byte < 0x80) {
      if (shift === 63 && byte > 1) return -1;
      break;
    }
  }
  words[word] = low;
  words[word + 1] = high;
  return position;
}

function copyBytes(slot: Slot, bytes: Uint8Array, view: DataView, start: number, end: number, row: number): void {
  const { words, byteLength } = slot;
  const count = byteLength >>> 2;
  if (words === undefined || count > LOOP_WORDS || byteLength % 4 !== 0) {
    slot.bytes.set(bytes.subarray(start, end), row * byteLength);
    return;
  }
  let word = row * count;
  for (let from = start; from < end; from += 4) words[word++] = view.getInt32(from, true);
}

function equalBytes(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[start + i]) return false;
  return true;
}
