// What a conversion is asked to do, what it plans, and what it reports.

import type { Limits } from "../readers/format.ts";
import type { WrittenShard } from "../writers/format.ts";

/** What a conversion is asked to do. */
export interface ConvertOptions {
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
  /** What to do about an output that is there already; `error` if left out. */
  readonly ifExists?: "error" | "skip" | "overwrite";
  /** Keeps only these features. Not together with `drop`. */
  readonly select?: readonly string[];
  /** Leaves these features out. */
  readonly drop?: readonly string[];
  /** New names of features, by their names in the input. */
  readonly rename?: Readonly<Record<string, string>>;
  /** The base name of numbered shards, or of what a stream becomes; if left out, what the names of the input have in common. */
  readonly name?: string;
  readonly limits?: Partial<Limits>;
  readonly signal?: AbortSignal;
  /** Called at most ten times a second, and once at the end. */
  readonly onProgress?: (progress: ConvertProgress) => void;
}

/** How far a conversion is. */
export interface ConvertProgress {
  /** The input shard that is being read. */
  readonly shard: string;
  /** Records written so far, over all shards. */
  readonly records: number;
  /** Records of the whole input; `undefined` for a stream. */
  readonly totalRecords: number | undefined;
  /** Bytes written so far, over all shards. */
  readonly bytes: number;
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
}

/** What a conversion came to. */
export interface ConvertReport {
  /** Records written. */
  readonly records: number;
  /** Bytes written. */
  readonly bytes: number;
  readonly seconds: number;
  /** The shards written, in order. An input shard without records gives none. */
  readonly shards: readonly WrittenShard[];
  /** Input shards passed over because their output is there. */
  readonly skipped: number;
}
