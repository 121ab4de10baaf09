// Records of a framed shard read as columns: the framing and its checks as for samples, the fast decoder of the format where it
// can, and the general one for every other record.

import type { Sample } from "../core/sample.ts";
import type { ColumnReader, ColumnRows, ColumnSpec, RecordIndex } from "./format.ts";
import { SOURCE_START, staleIndex, type Frame, type Framer, type Framing, type FramingStart } from "./framed.ts";
import { copySampleRow, otherColumns } from "./row-copy.ts";
import type { SeekableSource } from "./source.ts";
import { SourceWindow, type Window } from "./window.ts";

/** Consecutive records are read together, up to so many bytes. */
const RUN_BYTES = 1 << 19;

/** Decodes records into rows. */
export interface RowDecoder<F extends Frame> {
  /** Says where the following rows are. */
  into(rows: ColumnRows): void;
  /**
   * Verifies a record that lies in the window as {@link Framing.decode} needs it and decodes it into a row. `undefined`: only the
   * general way can; the row is undefined then. Otherwise its key; it need be made only where `wantsKey`.
   */
  decode(frame: F, window: Window, index: number, row: number, wantsKey: boolean): string | undefined;
}

/** Reads the columns of one shard. */
export class FramedColumns<F extends Frame> implements ColumnReader {
  readonly #columns: readonly ColumnSpec[];
  readonly #source: SeekableSource;
  readonly #framing: Framing<F>;
  readonly #decoder: RowDecoder<F>;
  readonly #index: () => RecordIndex;
  readonly #random: SourceWindow;
  #sequence: { readonly framer: Framer<F>; readonly window: SourceWindow } | undefined;

  constructor(
    columns: readonly ColumnSpec[],
    source: SeekableSource,
    framing: Framing<F>,
    decoder: RowDecoder<F>,
    index: () => RecordIndex,
  ) {
    this.#columns = columns;
    this.#source = source;
    this.#framing = framing;
    this.#decoder = decoder;
    this.#index = index;
    this.#random = new SourceWindow(source, "exact");
  }

  next(into: ColumnRows, row: number, count: number): number {
    this.#sequence ??= {
      framer: this.#framing.framer(SOURCE_START),
      window: new SourceWindow(this.#source, "forward"),
    };
    const { framer, window } = this.#sequence;
    this.#decoder.into(into);
    for (let done = 0; done < count; done++) {
      const frame = framer.next(window);
      if (typeof frame === "string") return done;
      const misfit = this.#decode(frame, window, into, row + done);
      if (misfit) throw otherColumns(misfit, this.#columns);
    }
    return count;
  }

  read(records: ArrayLike<number>, into: ColumnRows, row: number): number {
    this.#decoder.into(into);
    const { offsets, lengths } = this.#index();
    for (let done = 0; done < records.length;) {
      const run = this.#runFrom(records, done);
      const framer = this.#framing.framer(run.start);
      const window = this.#random;
      for (const end = done + run.count; done < end; done++) {
        const record = records[done] as number;
        const position = offsets[record] as number;
        const frame = framer.next(window);
        if (typeof frame === "string" || frame.start !== position || frame.end !== position + (lengths[record] ?? 0)) {
          throw staleIndex(this.#source.name, record, position);
        }
        if (this.#decode(frame, window, into, row + done)) return done;
      }
    }
    return records.length;
  }

  /** Brings as many of the records from `first` on into the window as follow one another in the file, at least one. */
  #runFrom(records: ArrayLike<number>, first: number): { readonly start: FramingStart; readonly count: number } {
    const { offsets, lengths, header } = this.#index();
    const record = records[first] as number;
    const position = offsets[record];
    if (position === undefined) {
      throw new RangeError(`Cannot read record ${record} of ${this.#source.name}: it has ${offsets.length}`);
    }
    let end = position;
    let count = 0;
    for (; first + count < records.length; count++) {
      const following = records[first + count] as number;
      const length = lengths[following] ?? Infinity;
      if (count > 0 && (offsets[following] !== end || end + length - position > RUN_BYTES)) break;
      end += length;
    }
    if (end > this.#random.end) throw staleIndex(this.#source.name, record, position);
    this.#random.release(position);
    this.#random.locate(position, end - position);
    return { start: { record, position, end: position + (lengths[record] ?? 0), header }, count };
  }

  /** Decodes one record into a row; gives back its sample where that has other columns. */
  #decode(frame: F, window: SourceWindow, into: ColumnRows, row: number): Sample | undefined {
    const index = window.locate(frame.start, frame.end - frame.start);
    const key = this.#decoder.decode(frame, window, index, row, into.keys !== undefined);
    if (key !== undefined) {
      into.keys?.push(key);
      return undefined;
    }
    const sample = this.#framing.decode(frame, window, index);
    if (!copySampleRow(sample, this.#columns, into.columns, row)) return sample;
    into.keys?.push(sample.key);
    return undefined;
  }
}
