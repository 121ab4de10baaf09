// Runs of records of the common form (example-columns.ts) through the TFRecord kernel: read into its memory, verified and decoded
// there, and copied column by column into the rows. What the kernel leaves, for whatever reason, the way record by record takes.

import { TfrecordKernel } from "../kernels/tfrecord.ts";
import { exampleKey, type ExampleColumns } from "./example-columns.ts";
import type { RunDecoder, RunRequest } from "./framed-columns.ts";
import type { SeekableSource } from "./source.ts";

/** What is before the message in a record. */
const HEADER_BYTES = 12;

/** Decodes runs of records of one shard. */
export class ExampleRun implements RunDecoder {
  readonly #messages: ExampleColumns;
  readonly #source: SeekableSource;
  readonly #keyStem: string;
  readonly #longest: number;
  readonly #kernel = TfrecordKernel.get();
  /** The state of the messages that the kernel was laid out for. */
  #version = -1;
  #isLaidOut = false;
  /** What of the source is in the window: half-open. */
  #start = 0;
  #end = 0;

  /** Keys are `keyStem` and the record where it says none; `longest` is the limit of a record's bytes. */
  constructor(messages: ExampleColumns, source: SeekableSource, keyStem: string, longest: number) {
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
    for (let i = 0; i < count; i++) {
      const start = this.#kernel.keyStart(i);
      if (start > 0) {
        const byte = (i === 0 ? position : this.endOf(i - 1)) + HEADER_BYTES;
        const at = { source: this.#source.name, record: record + i, byte };
        const key = exampleKey(this.#kernel.bytes, start, this.#kernel.keyEnd(i), at);
        keys?.push(key);
      } else {
        keys?.push(`${this.#keyStem}${record + i}`);
      }
    }
    return count;
  }

  endOf(index: number): number {
    return this.#start + this.#kernel.endOf(index);
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
