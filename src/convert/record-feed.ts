// The records of pieces of shards, in order. Where one piece begins at the record at which the one before it ended, reading
// goes on without a seek.

import type { Sample } from "../core/sample.ts";
import type { Format, ReadOptions, ShardFiles, ShardReader } from "../readers/format.ts";
import { openShard } from "../readers/open.ts";
import type { Piece } from "./jobs.ts";

/** The shard that is open, and the place in it. */
interface Place {
  readonly input: ShardFiles;
  readonly reader: ShardReader;
  readonly samples: Iterator<Sample>;
  /** Records that were taken. */
  record: number;
}

/** Reads pieces of shards one after the other. */
export class RecordFeed {
  readonly #format: Format;
  readonly #options: ReadOptions;
  #place: Place | undefined;

  constructor(format: Format, options: ReadOptions) {
    this.#format = format;
    this.#options = options;
  }

  /**
   * Reads the samples of one piece. They are views until the next one is taken.
   *
   * @throws {KdataError} what reading finds wrong, with its position.
   */
  *samples(piece: Piece): Generator<Sample> {
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
    this.#place = { input, reader, samples: samplesFrom(reader, start)[Symbol.iterator](), record: start };
    return this.#place;
  }
}

/** Reads from a record on. In order there is no need of an index; from elsewhere the records are read by number. */
function samplesFrom(reader: ShardReader, start: number): Iterable<Sample> {
  return start === 0 ? reader.samples() : numberedSamples(reader, start);
}

function* numberedSamples(reader: ShardReader, start: number): Generator<Sample> {
  const count = reader.count();
  for (let record = start; record < count; record++) yield reader.read(record);
}
