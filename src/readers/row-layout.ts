// Where the rows of a column lie; and of rows that lie interleaved with others, how they are gathered.

import type { ArrayElement } from "./element.ts";
import type { SeekableSource } from "./source.ts";

/** One feature of all samples: `count` rows of `shape`, row-major, one after another. */
export interface RowColumn {
  readonly name: string;
  readonly element: ArrayElement;
  /** Of one row. */
  readonly shape: readonly number[];
  readonly count: number;
  /** Where the bytes come from, and where in it the first row begins. */
  readonly source: SeekableSource;
  readonly start: number;
  /** Whether the file has the rows like this too, so that positions in `source` belong into messages. */
  readonly stored: boolean;
  /** Where each row lies in a record that it shares with other columns; without it rows lie one after another. */
  readonly layout?: RowLayout;
}

/** One axis over parts of a record: how many, and the bytes from one to the next. */
export interface StridedAxis {
  readonly count: number;
  readonly stride: number;
}

/** Where in each of equally long records the row of a column lies. */
export interface RowLayout {
  readonly recordBytes: number;
  /** The records, shared by the columns that lie in them. */
  readonly records: RecordBlock;
  /** Where the first part begins in the record. */
  readonly offset: number;
  /** The axes over the parts, the outermost first; the bytes of a part lie together. */
  readonly axes: readonly StridedAxis[];
}

/** Records that several columns share, read block by block: together the columns keep one block in memory. */
export class RecordBlock {
  readonly #source: SeekableSource;
  readonly #start: number;
  readonly #recordBytes: number;
  #memory = new Uint8Array(0);
  /** The records in memory: half-open. */
  #first = 0;
  #end = 0;

  /** Reads nothing yet. The first record begins at `start`. */
  constructor(source: SeekableSource, start: number, recordBytes: number) {
    this.#source = source;
    this.#start = start;
    this.#recordBytes = recordBytes;
  }

  /** Views the records from `first` to `end`, valid until the next call; `undefined` when the source ends before they do. */
  read(first: number, end: number): Uint8Array | undefined {
    const length = (end - first) * this.#recordBytes;
    if (first !== this.#first || end !== this.#end) {
      if (length > this.#memory.length) this.#memory = new Uint8Array(length);
      this.#end = this.#first;
      const position = this.#start + first * this.#recordBytes;
      if (this.#source.read(this.#memory.subarray(0, length), position) < length) return undefined;
      this.#first = first;
      this.#end = end;
    }
    return this.#memory.subarray(0, length);
  }
}

/** Lists the axes of `shape`, row-major, over items of `itemBytes` bytes. */
export function axesOf(shape: readonly number[], itemBytes: number): StridedAxis[] {
  let stride = itemBytes;
  const axes = shape.toReversed().map((count) => {
    const axis = { count, stride };
    stride *= count;
    return axis;
  });
  return axes.reverse();
}

/** Gathers one row of `target.length` bytes out of its record. */
export function gatherRow(target: Uint8Array, record: Uint8Array, { offset, axes }: RowLayout): void {
  const parts = axes.reduce((product, { count }) => product * count, 1);
  const partBytes = parts === 0 ? 0 : target.length / parts;
  let end = 0;
  function gather(axis: number, from: number): void {
    const strided = axes[axis];
    if (!strided) {
      target.set(record.subarray(from, from + partBytes), end);
      end += partBytes;
      return;
    }
    for (let i = 0; i < strided.count; i++) gather(axis + 1, from + i * strided.stride);
  }
  if (partBytes > 0) gather(0, offset);
}
