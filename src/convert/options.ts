// What a conversion is asked to do, what it plans, and what it reports.

import type { DecodeOptions, Limits } from "../readers/format.ts";
import type { WrittenShard } from "../writers/format.ts";

/** What a conversion is asked to do. */
export interface ConvertOptions extends DecodeOptions {
  /** The name of the format to write: `tfrecord`. */
  readonly to: string;
  /** The directory to write to. It is made if there is none. */
  readonly output: string;
  /** The format of the input; found by content if left out. */
  readonly from?: string;
  /** Writes numbered shards; each ends with the record that reaches so many bytes. Not together with `shards`. */
  readonly shardSize?: number;
  /** Writes so many numbered shards of equal numbers of records. Not together with `shardSize`. */
  readonly shards?: number;
  /**
   * What to do about an output that is there already; `error` if left out. `overwrite` removes whole shards of higher numbers
   * too; arrays that the new shards do not have are an error, because they may be somebody else's. `resume` goes on with a
   * conversion that was stopped, by the manifest that it left: shards that are finished and still whole are not written again.
   */
  readonly ifExists?: "error" | "skip" | "overwrite" | "resume";
  /** Keeps only these features. Not together with `drop`. */
  readonly select?: readonly string[];
  /** Leaves these features out. */
  readonly drop?: readonly string[];
  /** New names of features, by their names in the input. */
  readonly rename?: Readonly<Record<string, string>>;
  /** The feature whose text becomes the key: a string, UTF-8 bytes or one whole number. It stays a feature too. */
  readonly key?: string;
  /**
   * What to do about a sample that cannot be read, or that the output cannot hold; `fail` if left out. `skip` leaves it out;
   * no other sample goes elsewhere for it. Damaged framing still fails, as does a bad record of a stream.
   */
  readonly onError?: "fail" | "skip";
  /**
   * A file to write the samples to that were left out, as JSON Lines: source, record, byte, code, reason; and what was passed over
   * because an option of `Tolerance` allows it: policy, source, record, byte, bytes, reason. Of a conversion that is resumed all of them.
   */
  readonly report?: string;
  /** The base name of numbered shards, or of what a stream becomes; if left out, what the names of the input have in common. */
  readonly name?: string;
  /**
   * Worker threads, each of which writes a shard at a time; in this thread if left out. The bytes are the same. Shards of a size
   * follow from one another, so they are written in this thread.
   */
  readonly workers?: number;
  readonly limits?: Partial<Limits>;
  /** Stops at once; what is not finished is removed. */
  readonly signal?: AbortSignal;
  /** Stops when the shards that are being written are finished. A stream has no such place: it is left as it is. */
  readonly finishSignal?: AbortSignal;
  /** Called once, before anything is written. Not called for a stream. */
  readonly onPlan?: (plan: ConvertPlan) => void;
  /** Called at most ten times a second, and once at the end. */
  readonly onProgress?: (progress: ConvertProgress) => void;
}

/** How far one shard is that a worker thread reads. */
export interface ShardProgress {
  readonly shard: string;
  readonly records: number;
  readonly totalRecords: number | undefined;
}

/** How far a conversion is. */
export interface ConvertProgress {
  /** The input shard that is being read. */
  readonly shard: string;
  /** Records written so far, over all shards, those of a run that is resumed included. */
  readonly records: number;
  /** Records of the whole input; `undefined` for a stream. */
  readonly totalRecords: number | undefined;
  /** Bytes written so far, over all shards. */
  readonly bytes: number;
  /** What the worker threads are at; nothing without them. */
  readonly running: readonly ShardProgress[];
}

/** What a conversion is going to do. */
export interface ConvertPlan {
  /** The name of the input's format. */
  readonly format: string;
  /** Input shards. */
  readonly shards: number;
  readonly records: number | undefined;
  /** Bytes of the input. */
  readonly bytes: number;
  /** The name of the output's format. */
  readonly to: string;
  /**
   * The paths to be written. With `shardSize` their number is an estimate from the size of the input; where file names depend
   * on the features, `*` stands for the feature.
   */
  readonly outputs: readonly string[];
  /** Worker threads; 0: this thread. */
  readonly workers: number;
  /** Shards of the output that an earlier run has finished, checked by size and checksum; 0 unless it is resumed. */
  readonly resumed: number;
}

/** What a conversion came to. */
export interface ConvertReport {
  /** Records written by this run. */
  readonly records: number;
  /** Bytes written by this run. */
  readonly bytes: number;
  readonly seconds: number;
  /** The shards that this run has written, in order. An input shard without records gives none. */
  readonly shards: readonly WrittenShard[];
  /** Shards that an earlier run had finished. */
  readonly resumed: number;
  /** Samples that this run has left out because they are bad. */
  readonly skipped: number;
  /** How many times this run has passed over something because an option of `Tolerance` allows it. */
  readonly tolerated: number;
  /** Input shards passed over because their output is there. */
  readonly passedOver: number;
}
