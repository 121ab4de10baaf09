// The records of pieces of shards, in order. Where one piece begins at the record at which the one before it ended, reading
// goes on without a seek.

import { isSampleError, type KdataError } from "../core/errors.ts";
import type { Sample } from "../core/sample.ts";
import type { Format, ReadOptions, ShardFiles, ShardReader } from "../readers/format.ts";
import { openShard } from "../readers/open.ts";
import { ToleratedLog } from "../readers/tolerance.ts";
import type { Piece } from "./jobs.ts";

/** The shard that is open, and the place in it. */
interface Place {
  readonly input: ShardFiles;
  readonly reader: ShardReader;
  readonly samples: Iterator<Sample | KdataError>;
  /** Records that were taken. */
  record: number;
}

/** Reads pieces of shards one after the other. */
export class RecordFeed {
  readonly #format: Format;
  readonly #options: ReadOptions;
  readonly #goesOn: boolean;
  /** What reading has passed over. */
  readonly tolerated = new ToleratedLog();
  #place: Place | undefined;

  /** With `goesOn` the error of a bad record comes in place of its sample. Then every record is read by number. */
  constructor(format: Format, options: ReadOptions, goesOn = false) {
    this.#format = format;
    this.#options = { ...options, onTolerated: this.tolerated.add };
    this.#goesOn = goesOn;
  }

  /**
   * Reads the samples of one piece. They are views until the next one is taken.
   *
   * @throws {KdataError} what reading finds wrong, with its position; when it goes on, only damaged framing.
   */
  *samples(piece: Piece): Generator<Sample | KdataError> {
    const place = this.#goTo(piece);
    while (piece.end === undefined || place.record < piece.end) {
      const next = place.samples.next();
      if (next.done === true) break;
      place.record++;
      yield next.value;
    }
  }

  /** Closes the shard that is open. */
  close(): void {
    this.#place?.reader.close();
    this.#place = undefined;
  }

  #goTo({ input, start }: Piece): Place {
    if (this.#place?.input === input && this.#place.record === start) return this.#place;
    this.close();
    const reader = openShard(this.#format, input, this.#options);
    this.#place = { input, reader, samples: this.#from(reader, start)[Symbol.iterator](), record: start };
    return this.#place;
  }

  /** Reads from a record on. In order there is no need of an index; from elsewhere the records are read by number. */
  #from(reader: ShardReader, start: number): Iterable<Sample | KdataError> {
    if (this.#goesOn) return samplesOrErrors(reader, start);
    return start === 0 ? reader.samples() : numberedSamples(reader, start);
  }
}

function* numberedSamples(reader: ShardReader, start: number): Generator<Sample> {
  const count = reader.count();
  for (let record = start; record < count; record++) yield reader.read(record);
}

function* samplesOrErrors(reader: ShardReader, start: number): Generator<Sample | KdataError> {
  const count = reader.count();
  for (let record = start; record < count; record++) yield sampleOrError(reader, record);
}

function sampleOrError(reader: ShardReader, record: number): Sample | KdataError {
  try {
    return reader.read(record);
  } catch (error) {
    if (isSampleError(error)) return error;
    throw error;
  }
}
