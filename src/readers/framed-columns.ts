// Records of a framed shard read as columns: the framing and its checks as for samples, the fast decoder of the format where it
// can, and the general one for every other record.

import type { Sample } from "../core/sample.ts";
import type { ColumnReader, ColumnRows, ColumnSpec, RecordIndex } from "./format.ts";
import { staleIndex, type Frame, type Framer, type Framing } from "./framed.ts";
import { copySampleRow, otherColumns } from "./row-copy.ts";
import type { SeekableSource } from "./source.ts";
import { SourceWindow, type Window } from "./window.ts";

/** Consecutive records are read together, up to so many bytes. */
const RUN_BYTES = 1 << 19;

/** After so many calls in a row in vain, the decoder of runs is not asked `REST` times: a shard may be of another form throughout. */
const PATIENCE = 16;
const REST = 4096;

/** Records that follow one another, to be decoded into rows. */
export interface RunRequest {
  /** The number of the first record, and where it begins in the source. */
  readonly record: number;
  readonly position: number;
  /** What lies behind it in the source is not to be read. */
  readonly end: number;
  /** The row of the first record, and how many rows there may be. */
  readonly row: number;
  readonly rows: number;
}

/** Records of an index, in any order, to be decoded into rows. */
export interface ApartRequest {
  readonly records: ArrayLike<number>;
  /** The place of the first one among them. */
  readonly first: number;
  readonly index: RecordIndex;
  /** The row of the first record. */
  readonly row: number;
}

/** Decodes many records at once, where a format can find them without what a framer remembers. */
export interface RunDecoder {
  /**
   * Verifies and decodes records up to the first one that is damaged, cut or not of the form that it knows, and says how many: fewer
   * than asked for as well where it takes another call. Adds their keys.
   */
  decode(run: RunRequest, keys: string[] | undefined): number;
  /** Does the same with records that lie apart from one another. */
  decodeApart(request: ApartRequest, keys: string[] | undefined): number;
  /** Where a record of the last call of `decode` ends in the source, counted from its first one. */
  endOf(index: number): number;
  /** The bytes of a record of the last call of `decodeApart`, counted from its first one. */
  lengthOf(index: number): number;
}

/** Decodes records into rows. */
export interface RowDecoder<F extends Frame> {
  /** Says where the following rows are. */
  into(rows: ColumnRows): void;
  /** Decodes the records that need nothing else, into the rows that {@link into} was given. */
  readonly runs?: RunDecoder;
  /**
   * Verifies a record that lies in the window as {@link Framing.decode} needs it and decodes it into a row. `undefined`: only the
   * general way can; the row is undefined then. Otherwise its key; it need be made only where `wantsKey`.
   */
  decode(frame: F, window: Window, index: number, row: number, wantsKey: boolean): string | undefined;
}

/** Where reading in order stands. The framer is made anew behind records that the decoder of runs has taken. */
interface Sequence<F extends Frame> {
  framer: Framer<F> | undefined;
  readonly window: SourceWindow;
  record: number;
  position: number;
}

/** Records that follow one another: half-open positions. */
interface Run {
  readonly record: number;
  readonly position: number;
  readonly end: number;
  readonly count: number;
  /** Of the index. */
  readonly header: unknown;
}

/** Reads the columns of one shard. */
export class FramedColumns<F extends Frame> implements ColumnReader {
  readonly #columns: readonly ColumnSpec[];
  readonly #source: SeekableSource;
  readonly #framing: Framing<F>;
  readonly #decoder: RowDecoder<F>;
  readonly #index: () => RecordIndex;
  readonly #random: SourceWindow;
  #sequence: Sequence<F> | undefined;
  /** How often in a row the decoder of runs was or would have been asked in vain. */
  #vain = 0;

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
    // After a jump over what the decoder of runs has read, only some headers are read ahead.
    const readAhead = this.#decoder.runs ? "hop" : "forward";
    this.#sequence ??= { framer: undefined, window: new SourceWindow(this.#source, readAhead), record: 0, position: 0 };
    const sequence = this.#sequence;
    this.#decoder.into(into);
    for (let done = 0; done < count;) {
      const { record, position } = sequence;
      const request = { record, position, end: sequence.window.end, row: row + done, rows: count - done };
      const decoded = this.#decodeMany((runs) => runs.decode(request, into.keys));
      if (decoded > 0) {
        sequence.record += decoded;
        sequence.position = this.#decoder.runs?.endOf(decoded - 1) ?? position;
        sequence.framer = undefined;
        done += decoded;
        continue;
      }
      const start = { record, position, end: undefined, header: undefined };
      const frame = (sequence.framer ??= this.#framing.framer(start)).next(sequence.window);
      if (typeof frame === "string") return done;
      const misfit = this.#decode(frame, sequence.window, into, row + done);
      if (misfit) throw otherColumns(misfit, this.#columns);
      sequence.record++;
      sequence.position = frame.end;
      done++;
    }
    return count;
  }

  read(records: ArrayLike<number>, into: ColumnRows, row: number): number {
    this.#decoder.into(into);
    for (let done = 0; done < records.length;) {
      const request = { records, first: done, index: this.#index(), row: row + done };
      const decoded = this.#decodeMany((runs) => runs.decodeApart(request, into.keys));
      this.#holdToIndex(decoded, request);
      done += decoded;
      if (decoded > 0) continue;
      const run = this.#runFrom(records, done);
      // Of a run that was begun in vain one record is taken: the next ones may be decoded together again.
      const count = this.#decoder.runs && this.#vain < PATIENCE ? 1 : run.count;
      const taken = this.#readEach(run, count, records, done, into, row);
      if (taken === 0) return done;
      done += taken;
    }
    return records.length;
  }

  /** Decodes what the decoder of runs can, from the first record on. */
  #decodeMany(decode: (runs: RunDecoder) => number): number {
    const { runs } = this.#decoder;
    if (runs === undefined) return 0;
    if (this.#vain >= PATIENCE + REST) this.#vain = 0;
    const decoded = this.#vain < PATIENCE ? decode(runs) : 0;
    this.#vain = decoded > 0 ? 0 : this.#vain + 1;
    return decoded;
  }

  /** Compares how long decoded records are with what the index says. */
  #holdToIndex(decoded: number, { records, first, index: { offsets, lengths } }: ApartRequest): void {
    const { runs } = this.#decoder;
    for (let i = 0; i < decoded; i++) {
      const record = records[first + i] as number;
      if (runs?.lengthOf(i) !== lengths[record]) throw staleIndex(this.#source.name, record, offsets[record] as number);
    }
  }

  /** Reads the first `count` records of a run one by one, and says how many have these columns. */
  #readEach(
    { record: first, position: start, header }: Run,
    count: number,
    records: ArrayLike<number>,
    done: number,
    into: ColumnRows,
    row: number,
  ): number {
    const { offsets, lengths } = this.#index();
    const window = this.#random;
    const last = records[done + count - 1] as number;
    window.release(start);
    window.locate(start, (offsets[last] as number) + (lengths[last] as number) - start);
    const framer = this.#framing.framer({ record: first, position: start, end: start + (lengths[first] ?? 0), header });
    for (let i = 0; i < count; i++) {
      const record = records[done + i] as number;
      const position = offsets[record] as number;
      const frame = framer.next(window);
      if (typeof frame === "string" || frame.start !== position || frame.end !== position + (lengths[record] ?? 0)) {
        throw staleIndex(this.#source.name, record, position);
      }
      if (this.#decode(frame, window, into, row + done + i)) return i;
    }
    return count;
  }

  /** Finds how many of the records from `first` on follow one another in the file, at least one. */
  #runFrom(records: ArrayLike<number>, first: number): Run {
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
    return { record, position, end, count, header };
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
