// What a storage format is to the rest of kdata. Shared code asks a format for what it can do and never for its name.

import type { Sample } from "../core/sample.ts";
import type { SeekableSource, StreamSource } from "./source.ts";

/** Where each record of a framed shard lies, in shared memory so that workers need no scan of their own. */
export interface RecordIndex {
  /** First byte of each record: of its frame in TFRecord, of its first member's header in tar. */
  readonly offsets: Float64Array<SharedArrayBuffer>;
  /** Bytes of each record, framing included. */
  readonly lengths: Float64Array<SharedArrayBuffer>;
  /** What the format must know beside the offsets to decode a record alone; JSON. */
  readonly header?: unknown;
}

/** Upper bounds on what a file may declare. Nothing is allocated on the word of a file before it is held to these. */
export interface Limits {
  /** Bytes of one record: a TFRecord payload, or all members of one tar sample. */
  readonly recordBytes: number;
  /** Bytes of one textual header: the NPY header, a pax header. */
  readonly headerBytes: number;
  /** Bytes that a compressed input may grow to in memory. */
  readonly inflatedBytes: number;
}

/** What becomes of the files in a tar archive whose names have no extension, so that they are of no sample. */
export type StrayMembers = "refuse" | "skip";

/** How shards are read. */
export interface ReadOptions {
  readonly limits?: Partial<Limits>;
  /** `skip` passes over such files, as webdataset does, and their content is lost. Default `refuse`: the first one is an error. */
  readonly strayMembers?: StrayMembers;
  /** An index made earlier by {@link ShardReader.index}: spares the scan. */
  readonly index?: RecordIndex;
}

/** The files that hold one shard: one file for most formats, one for each feature for arrays. */
export interface ShardFiles {
  /** A name for messages, manifests and outputs; for a single file its path. */
  readonly name: string;
  readonly paths: readonly string[];
}

/**
 * One opened shard whose bytes can be sought. Synchronous: it is made for worker threads.
 *
 * The features of a sample are views of the reader's buffers and valid until the next call; `copySample` keeps one.
 */
export interface ShardReader {
  /** The name of the shard. */
  readonly source: string;
  /**
   * Counts the records: from a header, from the index, or by one scan that verifies the framing.
   *
   * @throws {KdataError} `format`, `truncated`, `checksum` or `limit` with the position where the framing breaks.
   */
  count(): number;
  /**
   * Reads one record by its number, with all its checks.
   *
   * @throws {RangeError} when there is no such record.
   * @throws {KdataError} with the position when the record is damaged.
   */
  read(record: number): Sample;
  /** Reads every record in order, with all checks, without an index. */
  samples(): Iterable<Sample>;
  /** The index of a framed format; `undefined` where records are found by arithmetic. */
  index(): RecordIndex | undefined;
  close(): void;
}

/** A storage format that can be read. */
export interface Format {
  /** The name in options and manifests, lower case: `tfrecord`. */
  readonly name: string;
  /** The name for people: `TFRecord (tf.Example)`. */
  readonly title: string;
  /** Without dots, the usual one first. Used to name outputs and to break a tie, never alone to detect. */
  readonly extensions: readonly string[];
  /** Says whether these first bytes of a file (at most 4,096, decompressed) are of this format. */
  detect(head: Uint8Array): boolean;
  /** Says which files together are one shard. Without it every file is a shard of its own. */
  group?(paths: readonly string[]): ShardFiles[];
  /**
   * Says whether a directory as a whole is one shard of this format, and which files in it are the shard's. Such a shard may have
   * more files than can be open: each is opened for a read and closed again.
   */
  fromDirectory?(directory: string): ShardFiles | undefined;
  /**
   * Opens one shard over its files, in the order of {@link ShardFiles.paths}. Takes ownership: `close()` closes the sources.
   * `name` is {@link ShardFiles.name}, for formats whose shards are directories.
   */
  open(files: readonly SeekableSource[], options?: ReadOptions, name?: string): ShardReader;
  /** Reads a source that cannot seek. A format that needs to seek leaves it out. Samples are views as in {@link ShardReader}. */
  stream?(source: StreamSource, options?: ReadOptions): AsyncIterable<Sample>;
}
