// What a writable storage format is to the rest of kdata.

import type { Sample } from "../core/sample.ts";
import type { ByteSink } from "./sink.ts";

/** What one finished shard came to. */
export interface WrittenShard {
  /** The files under their final names, with their sizes in bytes. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly records: number;
}

/**
 * One shard that is being written. Until `finish` the bytes lie under partial names; a final name is only ever whole.
 */
export interface ShardWriter {
  /** Bytes taken so far, those still in buffers included. */
  readonly bytes: number;
  /** Records taken so far. */
  readonly records: number;
  /**
   * Adds one sample. Its memory may be reused afterwards.
   *
   * @throws {KdataError} `shape` when the format cannot hold a feature (the message names sample and feature), `output` when the disk refuses.
   */
  write(sample: Sample): void;
  /**
   * Completes, syncs and renames the files.
   *
   * @throws {KdataError} `output` when the system refuses, `exists` when a file that the shard has not would be read as part of it.
   */
  finish(): WrittenShard;
  /** Removes the partial files. Harmless after `finish`. */
  abort(): void;
}

/** A storage format that can be written. */
export interface WritableFormat {
  /** The same name as the readable twin: `tfrecord`. */
  readonly name: string;
  /** Without the dot: `tar`. */
  readonly extension: string;
  /** The final paths of a shard: more than one for arrays. `undefined`: known only with the first sample. */
  paths(stem: string): readonly string[] | undefined;
  /** Lists the files that hold this shard already, whatever their features. */
  existing(stem: string): readonly string[];
  /** What is written is text that a terminal may show. */
  readonly isText?: true;
  /** Starts a shard that goes to a stream, front to back. A format that must go back to bytes it has written leaves it out. */
  stream?(sink: ByteSink): ShardWriter;
  /** Starts a shard. `stem` is the path without the extension: `out/train-00000`. */
  create(stem: string): ShardWriter;
}
