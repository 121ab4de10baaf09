// Runs of records of the common form (example-columns.ts) through the TFRecord kernel: read into its memory, verified and decoded
// there, and copied column by column into the rows. What the kernel leaves, for whatever reason, the way record by record takes.

import { TfrecordKernel } from "../kernels/tfrecord.ts";
import { exampleKey, type ExampleColumns } from "./example-columns.ts";
import type { RecordIndex } from "./format.ts";
import type { ApartRequest, RunDecoder, RunRequest } from "./framed-columns.ts";
import { DIRECT_BYTES, type ResidentSource } from "./resident-source.ts";

/** What is before the message in a record. */
const HEADER_BYTES = 12;
const LINE_BYTES = 64;
/** Of a longer record the processor itself sees what comes next. */
const TOUCHED_BYTES = 512;

/** Decodes runs of records of one shard. */
export class ExampleRun implements RunDecoder {
  readonly #messages: ExampleColumns;
  readonly #source: ResidentSource;
  readonly #keyStem: string;
  readonly #longest: number;
  readonly #kernel = TfrecordKernel.get();
  /** The state of the messages that the kernel was laid out for. */
  #version = -1;
  #isLaidOut = false;
  /** Kept, so that what is only touched counts as used. */
  readonly #touched = new Int32Array(1);
  /** What of the source is in the window: half-open. */
  #start = 0;
  #end = 0;

  /** Keys are `keyStem` and the record where it says none; `longest` is the limit of a record's bytes. */
  constructor(messages: ExampleColumns, source: ResidentSource, keyStem: string, longest: number) {
    this.#messages = messages;
    this.#source = source;
    this.#keyStem = keyStem;
    this.#longest = longest;
  }

  decode({ record, position, end, row, rows }: RunRequest, keys: string[] | undefined): number {
    if (!this.#prepare()) return 0;
    const count = this.#decodeFrom(position, end, rows);
    if (count === 0) return 0;
    this.#messages.takeRows(this.#kernel, row, count);
    for (let i = 0; i < count; i++) this.#addKey(i, record + i, i === 0 ? position : this.endOf(i - 1), keys);
    return count;
  }

  decodeApart({ records, first, index, row }: ApartRequest, keys: string[] | undefined): number {
    if (!this.#prepare()) return 0;
    this.#start = this.#end = 0; // what the window holds from now on is no part of the source
    const rows = Math.min(records.length - first, this.#kernel.rows);
    const length = this.#gather(records, first, index, rows);
    const count = this.#kernel.decode(0, length, rows, this.#longest);
    if (count === 0) return 0;
    this.#messages.takeRows(this.#kernel, row, count);
    for (let i = 0; i < count; i++) {
      const record = records[first + i] as number;
      this.#addKey(i, record, index.offsets[record] as number, keys);
    }
    return count;
  }

  endOf(index: number): number {
    return this.#start + this.#kernel.endOf(index);
  }

  lengthOf(index: number): number {
    return this.#kernel.endOf(index) - (index === 0 ? 0 : this.#kernel.endOf(index - 1));
  }

  #addKey(row: number, record: number, position: number, keys: string[] | undefined): void {
    const start = this.#kernel.keyStart(row);
    if (start === 0) {
      keys?.push(`${this.#keyStem}${record}`);
      return;
    }
    const at = { source: this.#source.name, record, byte: position + HEADER_BYTES };
    const key = exampleKey(this.#kernel.bytes, start, this.#kernel.keyEnd(row), at);
    keys?.push(key);
  }

  /**
   * Puts records one after another into the window, those that follow one another in the source by one read, and says how many bytes
   * they are: as many records as fit, up to the first one that the index or the source does not have.
   */
  #gather(records: ArrayLike<number>, first: number, index: RecordIndex, rows: number): number {
    const { window } = this.#kernel;
    const { bytes } = this.#source;
    if (bytes) this.#touched[0] = touchRecords(bytes, records, first, rows, index);
    const { offsets, lengths } = index;
    let filled = 0;
    let alone = 0;
    for (let done = 0; done < rows;) {
      const record = records[first + done] as number;
      const start = offsets[record] ?? Infinity;
      const room = Math.min(window.length - filled, this.#source.size - start);
      let length = lengths[record] ?? Infinity;
      if (length > room) break;
      for (done++; done < rows; done++) {
        const next = records[first + done] as number;
        if (offsets[next] !== start + length || length + (lengths[next] as number) > room) break;
        length += lengths[next] as number;
      }
      if (bytes) window.set(bytes.subarray(start, start + length), filled);
      else if (this.#source.read(window.subarray(filled, filled + length), start) < length) break;
      if (length < DIRECT_BYTES) alone++;
      filled += length;
    }
    if (alone > 0) this.#source.tellAlone(alone, offsets.length);
    return filled;
  }

  /** Takes the kernel over; says whether it can decode these messages. */
  #prepare(): boolean {
    const isMine = this.#kernel.user === this;
    if (isMine && this.#version === this.#messages.version) return this.#isLaidOut;
    if (!isMine) this.#start = this.#end = 0;
    this.#kernel.user = this;
    this.#version = this.#messages.version;
    const slots = this.#messages.kernelSlots();
    this.#isLaidOut = slots !== undefined && this.#kernel.layOut(slots, this.#messages.takesNoNotes);
    return this.#isLaidOut;
  }

  /** Decodes what is in the window from `position` on; where that is nothing, what comes into it then. */
  #decodeFrom(position: number, end: number, rows: number): number {
    if (position >= this.#start && position < this.#end) {
      const count = this.#decodeWindow(position, end, rows);
      if (count > 0) return count;
      // All that the window can hold is there: the record is longer, or not for the kernel.
      if (position === this.#start || this.#end >= end) return 0;
    }
    this.#fill(position, end);
    return this.#decodeWindow(position, end, rows);
  }

  #decodeWindow(position: number, end: number, rows: number): number {
    const start = position - this.#start;
    return this.#kernel.decode(start, Math.min(this.#end, end) - this.#start, rows, this.#longest);
  }

  /** Fills the window from `position` on. */
  #fill(position: number, end: number): void {
    const { window } = this.#kernel;
    const kept = position >= this.#start && position < this.#end ? this.#end - position : 0;
    if (kept > 0) window.copyWithin(0, position - this.#start, this.#end - this.#start);
    const length = Math.min(window.length, end - position);
    this.#start = this.#end = position;
    this.#end += kept + this.#source.read(window.subarray(kept, Math.max(kept, length)), position + kept);
  }
}

/**
 * Reads a byte of each cache line of the records. Those in any order are rarely in a cache, and a loop of loads that do not wait for one
 * another has many of them under way.
 */
function touchRecords(
  bytes: Uint8Array,
  records: ArrayLike<number>,
  first: number,
  count: number,
  { offsets, lengths }: RecordIndex,
): number {
  let all = 0;
  for (let i = first; i < first + count; i++) {
    const start = offsets[records[i] as number] ?? 0;
    const end = start + Math.min(lengths[records[i] as number] ?? 0, TOUCHED_BYTES);
    for (let at = start; at < end; at += LINE_BYTES) all |= bytes[at] ?? 0;
  }
  return all;
}
