// Shards whose records stand one after another, each behind a header that says how long it is. A format gives a framer, which
// looks at headers only, and a decoder; this file makes of them a reader in order, a reader by number, a check that goes on
// behind damage, a scan that jumps over the payloads, and a reader of streams.

import { KdataError } from "../core/errors.ts";
import type { Sample } from "../core/sample.ts";
import { crc32c } from "./crc32c.ts";
import { faultOr } from "./fault.ts";
import type {
  ChecksummedIndex,
  ColumnReader,
  ColumnSpec,
  DecodeOptions,
  Fault,
  Limits,
  ReadOptions,
  RecordIndex,
  ShardReader,
} from "./format.ts";
import { resolveLimits } from "./limits.ts";
import { ResidentSource } from "./resident-source.ts";
import type { SeekableSource, StreamSource } from "./source.ts";
import { ToleratedLog } from "./tolerance.ts";
import { SourceWindow, StreamWindow, type Window } from "./window.ts";

/** Where one record lies. */
export interface Frame {
  /** Counted from 0. */
  readonly record: number;
  /** First byte of the record and the one after its last, framing included. */
  readonly start: number;
  readonly end: number;
}

/** The place where framing begins: the start of the source, or one record that an index names. */
export interface FramingStart {
  readonly record: number;
  readonly position: number;
  /** Where the record of an index ends; `undefined` at the start of a source. */
  readonly end: number | undefined;
  /** What {@link Framer.header} gave when the index was made. */
  readonly header: unknown;
}

/** Finds one record after the other. It keeps its place, and continues there when more bytes have arrived. */
export interface Framer<F extends Frame> {
  /**
   * Finds the next record: its headers were in the window, its payload need not be. `more`: call again when what was located
   * in vain has arrived. `end`: the source ends as it should.
   *
   * @throws {KdataError} when the framing is broken.
   */
  next(window: Window): F | "more" | "end";
  /** What an index must keep beside the extents, after the last record. */
  header?(): unknown;
}

/** How one shard is framed and decoded. */
export interface Framing<F extends Frame> {
  framer(start: FramingStart): Framer<F>;
  /** Whether the decoder verifies a checksum over the payload, so that the one of an index would say nothing new. */
  readonly ownChecksums: boolean;
  /**
   * Decodes a record whose first byte lies at `index` of the window and whose last one is in it too. The features are views,
   * valid until the next call.
   */
  decode(frame: F, window: Window, index: number): Sample;
  /** Makes a reader of columns over the source, for {@link ShardReader.columns}. */
  columns?(columns: readonly ColumnSpec[], source: ResidentSource, index: () => RecordIndex): ColumnReader;
}

/** A framed format: how a shard of this name is framed and decoded. */
export type FramedFormat<F extends Frame> = (source: string, limits: Limits, decoding: FramedOptions) => Framing<F>;

/** What of {@link ReadOptions} decides how a shard is framed and decoded. */
export type FramedOptions = DecodeOptions & Pick<ReadOptions, "onTolerated">;

/** Where framing begins that needs no index. */
const SOURCE_START: FramingStart = { record: 0, position: 0, end: undefined, header: undefined };

/** Opens a shard of a framed format. The reader owns the source. */
export function openFramed<F extends Frame>(
  format: FramedFormat<F>,
  source: SeekableSource,
  options: ReadOptions = {},
): ShardReader {
  return new FramedReader(format, source, options);
}

/** Walks over the records of a source by their headers alone. */
export function* framesOf<F extends Frame>(
  format: FramedFormat<F>,
  source: SeekableSource,
  options: ReadOptions = {},
): Generator<F, void> {
  const framer = format(source.name, resolveLimits(options.limits), options).framer(SOURCE_START);
  yield* walk(framer, new SourceWindow(source, "hop"));
}

/** Reads a stream of a framed format in order. The samples are views until the next one is taken. */
export async function* streamFramed<F extends Frame>(
  format: FramedFormat<F>,
  source: StreamSource,
  options: ReadOptions = {},
): AsyncGenerator<Sample> {
  const framing = format(source.name, resolveLimits(options.limits), options);
  const framer = framing.framer(SOURCE_START);
  const window = new StreamWindow(source);
  try {
    for (;;) {
      const frame = framer.next(window);
      if (frame === "end") return;
      if (frame === "more") {
        await window.load();
        continue;
      }
      let index = window.locate(frame.start, frame.end - frame.start);
      if (index < 0) {
        await window.load();
        refuseCut(frame, window, source.name);
        index = window.locate(frame.start, frame.end - frame.start);
      }
      yield framing.decode(frame, window, index);
    }
  } finally {
    await window.close();
  }
}

class FramedReader<F extends Frame> implements ShardReader {
  readonly source: string;
  readonly #source: SeekableSource;
  readonly #framing: Framing<F>;
  /** Makes the framing anew, with somebody else who is told of what is passed over. */
  readonly #framingFor: (onTolerated: NonNullable<ReadOptions["onTolerated"]>) => Framing<F>;
  #index: RecordIndex | undefined;
  /** Where an index may come from, before it is needed. */
  #findIndex: (() => RecordIndex | undefined) | undefined;
  #random: SourceWindow | undefined;
  /** What columns are read from. */
  #resident: ResidentSource | undefined;

  constructor(format: FramedFormat<F>, source: SeekableSource, options: ReadOptions) {
    this.source = source.name;
    this.#source = source;
    const limits = resolveLimits(options.limits);
    this.#framingFor = (onTolerated) => format(source.name, limits, { ...options, onTolerated });
    this.#framing = format(source.name, limits, options);
    if (typeof options.index === "function") this.#findIndex = options.index;
    else this.#index = options.index;
  }

  count(): number {
    return this.index().offsets.length;
  }

  index(): RecordIndex {
    if (this.#index) return this.#index;
    const steps = this.locate();
    for (;;) {
      const step = steps.next();
      if (step.done === true) return step.value;
    }
  }

  *locate(): Generator<void, RecordIndex> {
    return (this.#index ??= this.#foundIndex() ?? (yield* locateRecords(this.#framing, this.#source)));
  }

  read(record: number): Sample {
    return this.#readFrom((this.#random ??= new SourceWindow(this.#source, "exact")), record, this.index());
  }

  #readFrom(window: SourceWindow, record: number, index: RecordIndex): Sample {
    const { offsets, lengths, header, checksums } = index;
    const position = offsets[record];
    const length = lengths[record];
    if (position === undefined || length === undefined) {
      throw new RangeError(`Cannot read record ${record} of ${this.source}: it has ${offsets.length}`);
    }
    const end = position + length;
    if (end > window.end) throw staleIndex(this.source, record, position);
    window.release(position);
    window.locate(position, length); // the whole record at once, where the framer asks for its header first
    const frame = this.#framing.framer({ record, position, end, header }).next(window);
    if (typeof frame === "string" || frame.start !== position || frame.end !== end) {
      throw staleIndex(this.source, record, position);
    }
    const at = window.locate(position, length); // the framer may have moved it
    if (!this.#framing.ownChecksums) this.#holdTo(checksums, frame, window, at);
    return this.#framing.decode(frame, window, at);
  }

  *samples(): Generator<Sample> {
    // What has no checksums of its own is held to those of an index: then its records are found by it as well.
    const recordIndex = this.#framing.ownChecksums ? undefined : (this.#index ?? this.#foundIndex());
    if (recordIndex?.checksums !== undefined) {
      const ahead = new SourceWindow(this.#source, "forward");
      const { length } = recordIndex.offsets;
      for (let record = 0; record < length; record++) yield this.#readFrom(ahead, record, recordIndex);
      return;
    }
    const framer = this.#framing.framer(SOURCE_START);
    const window = new SourceWindow(this.#source, "forward");
    for (;;) {
      const frame = framer.next(window);
      if (typeof frame === "string") return;
      const index = window.locate(frame.start, frame.end - frame.start);
      yield this.#framing.decode(frame, window, index);
    }
  }

  columns(columns: readonly ColumnSpec[]): ColumnReader | undefined {
    const source = (this.#resident ??= new ResidentSource(this.#source));
    return this.#framing.columns?.(columns, source, () => this.index());
  }

  *check(): Generator<Sample | Fault> {
    const framer = this.#framing.framer(SOURCE_START);
    const window = new SourceWindow(this.#source, "forward");
    const recordIndex = faultOr(() => this.#index ?? this.#foundIndex());
    if (recordIndex instanceof KdataError) yield { error: recordIndex, uncheckedBytes: 0 };
    const checksums = recordIndex instanceof KdataError ? undefined : recordIndex?.checksums;
    let checked = 0;
    for (;;) {
      const frame = faultOr(() => framer.next(window));
      if (frame instanceof KdataError) {
        const lostAt = frame.at?.byte ?? window.end;
        yield { error: frame, uncheckedBytes: Math.max(0, window.end - lostAt) };
        return;
      }
      if (typeof frame === "string") break;
      const index = window.locate(frame.start, frame.end - frame.start);
      const sample = faultOr(() => {
        this.#holdTo(checksums, frame, window, index);
        return this.#framing.decode(frame, window, index);
      });
      yield sample instanceof KdataError ? { error: sample, uncheckedBytes: 0 } : sample;
      checked++;
    }
    if (checksums === undefined || recordIndex instanceof KdataError) return;
    const at = { source: this.source };
    if (checked !== checksums.length) {
      const reason = `Cannot read shard: it has ${checked} records, its index ${checksums.length}`;
      yield { error: new KdataError("state", reason, { at }), uncheckedBytes: 0 };
    } else if (JSON.stringify(framer.header?.()) !== JSON.stringify(recordIndex?.header)) {
      const reason = "Cannot read shard: what stands before its records is not what its index says";
      yield { error: new KdataError("checksum", reason, { at }), uncheckedBytes: 0 };
    }
  }

  *scan(): Generator<number, ChecksummedIndex> {
    const log = new ToleratedLog();
    const framer = this.#framingFor(log.add).framer(SOURCE_START);
    const window = new SourceWindow(this.#source, "forward");
    const [offsets, lengths, checksums]: [number[], number[], number[]] = [[], [], []];
    for (const { start, end } of walk(framer, window)) {
      const index = window.locate(start, end - start);
      offsets.push(start);
      lengths.push(end - start);
      checksums.push(crc32c(window.view, index, index + end - start));
      yield end;
    }
    const shared = new Uint32Array(new SharedArrayBuffer(4 * checksums.length));
    shared.set(checksums);
    const tolerated = log.take();
    return {
      ...indexOf(offsets, lengths, framer),
      checksums: shared,
      ...(tolerated.length > 0 && { tolerated }),
    };
  }

  close(): void {
    this.#resident?.close();
    this.#source.close();
  }

  #foundIndex(): RecordIndex | undefined {
    const found = this.#findIndex?.();
    this.#findIndex = undefined;
    return (this.#index ??= found);
  }

  /** Compares the bytes of a record, which begin at `index` of the window, with their checksum in the index. */
  #holdTo(
    checksums: Uint32Array | undefined,
    { record, start, end }: Frame,
    window: SourceWindow,
    index: number,
  ): void {
    const expected = checksums?.[record];
    if (expected === undefined || crc32c(window.view, index, index + end - start) === expected) return;
    throw new KdataError("checksum", "Cannot read record: its bytes do not match their checksum in the index", {
      at: { source: this.source, record, byte: start },
      hint: "If the file was changed on purpose, make the index anew: kdata index",
    });
  }
}

function* walk<F extends Frame>(framer: Framer<F>, window: SourceWindow): Generator<F, void> {
  for (;;) {
    const frame = framer.next(window);
    if (typeof frame === "string") return;
    yield frame;
  }
}

/** Finds all records by their headers alone. */
function* locateRecords<F extends Frame>(framing: Framing<F>, source: SeekableSource): Generator<void, RecordIndex> {
  const framer = framing.framer(SOURCE_START);
  const [offsets, lengths]: [number[], number[]] = [[], []];
  for (const { start, end } of walk(framer, new SourceWindow(source, "hop"))) {
    offsets.push(start);
    lengths.push(end - start);
    yield;
  }
  return indexOf(offsets, lengths, framer);
}

function indexOf<F extends Frame>(
  offsets: readonly number[],
  lengths: readonly number[],
  framer: Framer<F>,
): RecordIndex {
  const header = framer.header?.();
  return { offsets: sharedArray(offsets), lengths: sharedArray(lengths), ...(header === undefined ? {} : { header }) };
}

function sharedArray(numbers: readonly number[]): Float64Array<SharedArrayBuffer> {
  const array = new Float64Array(new SharedArrayBuffer(8 * numbers.length));
  array.set(numbers);
  return array;
}

/** A framer of a stream cannot know the end, so its frames may go beyond it. */
function refuseCut(frame: Frame, window: Window, source: string): void {
  if (frame.end <= window.end) return;
  const at = { source, record: frame.record, byte: window.end };
  const reason = `Cannot read record: it ends at byte ${frame.end}, the stream ends before`;
  throw new KdataError("truncated", reason, { at });
}

/** The error for a record that is not where the index says it is. */
export function staleIndex(source: string, record: number, byte: number): KdataError {
  const hint = "Make the index anew: the file has changed since.";
  return new KdataError("state", "Cannot read record: the index does not fit the file", {
    at: { source, record, byte },
    hint,
  });
}
