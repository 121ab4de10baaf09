// What a storage format is to the rest of kdata. Shared code asks a format for what it can do and never for its name.

import type { KdataError } from "../core/errors.ts";
import type { Sample } from "../core/sample.ts";
import type { DType, TensorData } from "../core/tensor.ts";
import type { FeatureSelection } from "./feature-spec.ts";
import type { SeekableSource, StreamSource } from "./source.ts";

/** Where each record of a framed shard lies, in shared memory so that workers need no scan of their own. */
export interface RecordIndex {
  /** First byte of each record: of its frame in TFRecord, of its first member's header in tar. */
  readonly offsets: Float64Array<SharedArrayBuffer>;
  /** Bytes of each record, framing included. */
  readonly lengths: Float64Array<SharedArrayBuffer>;
  /** What the format must know beside the offsets to decode a record alone; JSON. */
  readonly header?: unknown;
  /** The CRC-32C of the bytes of each record, framing included. Records of a format without checksums of its own are held to it. */
  readonly checksums?: Uint32Array<SharedArrayBuffer>;
  /** What was passed over when it was made. Only a reader that would pass over it too may use it. */
  readonly tolerated?: readonly Tolerated[];
}

/** An index with the checksum of each record. */
export type ChecksummedIndex = RecordIndex & { readonly checksums: Uint32Array<SharedArrayBuffer> };

/** A record that {@link ShardReader.check} found damaged. */
export interface Fault {
  /** What is wrong, with the position. */
  readonly error: KdataError;
  /** Bytes behind it that cannot be checked because the framing is lost: it is the last fault then. 0 when the check goes on. */
  readonly uncheckedBytes: number;
}

/** The text of an index in another tool's form, and how many samples it is of. */
export interface EncodedIndex {
  readonly text: string;
  readonly samples: number;
}

/** An index in the form that another tool reads. */
export type IndexForm = ShardIndexForm | DatasetIndexForm;

/** A form of one file for each shard. */
export interface ShardIndexForm {
  /** The name in options: `tfindex`. */
  readonly name: string;
  readonly per: "shard";
  /** Of the file beside the shard where the tools look for it, without the dot. */
  readonly extension: string;
  /**
   * Makes the index of a shard.
   *
   * @throws {KdataError} where the framing breaks, and `unsupported` for what the form cannot say.
   */
  encode(source: SeekableSource, options?: ReadOptions): EncodedIndex;
}

/** A form of one file for all shards. */
export interface DatasetIndexForm {
  readonly name: string;
  readonly per: "dataset";
  /**
   * Makes the index of shards. `url` says where a reader of the index finds the shard; `title` names the data set.
   *
   * @throws {KdataError} where the framing breaks.
   */
  encode(
    shards: readonly { readonly url: string; readonly source: SeekableSource }[],
    title: string,
    options?: ReadOptions,
  ): EncodedIndex;
}

/** Upper bounds on what a file may declare. Nothing is allocated on the word of a file before it is held to these. */
export interface Limits {
  /** Bytes of one record: a TFRecord payload, or all members of one tar sample. */
  readonly recordBytes: number;
  /** Bytes of one textual header: the NPY header, a pax header. */
  readonly headerBytes: number;
  /** Bytes that a compressed input may grow to in memory. */
  readonly inflatedBytes: number;
  /** Bytes that each compressed byte may inflate to, beyond the first 48 MiB. */
  readonly inflateRatio: number;
  /** Bytes that a Parquet row group may decode to beyond 32 for each byte that it takes in the file. */
  readonly rowGroupBytes: number;
}

/** What becomes of the files in a tar archive whose names have no extension, so that they are of no sample. */
export type StrayMembers = "refuse" | "skip";

/**
 * What becomes of errors that a caller may know to be harmless. Each is strict unless it is named; relaxing one relaxes no other. What
 * was passed over is told to {@link ReadOptions.onTolerated}.
 */
export interface Tolerance {
  /**
   * What becomes of files in a tar archive that are of no sample. `skip` passes over them, as webdataset does, and their content
   * is lost. Default `refuse`: the first one is an error.
   */
  readonly strayMembers?: StrayMembers;
  /**
   * What becomes of a key in a tar archive that comes again after others. `separate`: each run of members is a sample of its own,
   * so keys are not unique, and the members of one sample may be in several. Default `refuse`.
   */
  readonly repeatedKeys?: "refuse" | "separate";
  /** What becomes of a tar archive without the zeros that end it, cut between two members. `accept` takes it as whole. Default `refuse`. */
  readonly missingEnd?: "refuse" | "accept";
  /** What becomes of bytes behind the end of a tar archive, an NPY or an idx array. `ignore` leaves them unread. Default `refuse`. */
  readonly trailingBytes?: "refuse" | "ignore";
  /**
   * What becomes of a header whose checksum does not match, in a tar archive or of a TFRecord. `resync` goes on at the next header
   * whose checksum does. What lies between is lost, and in a tar archive the samples on both sides of it, since nothing says
   * whether they are whole. Default `refuse`.
   */
  readonly badHeader?: "refuse" | "resync";
}

/** Something that was passed over on the word of the caller. */
export interface Tolerated {
  /** The option that allows it. */
  readonly policy: keyof Tolerance;
  readonly source: string;
  /** The record that is next, or in which it lies. */
  readonly record: number;
  readonly byte: number;
  /** Bytes that were passed over; absent where a stream was not read that far. */
  readonly bytes?: number;
  /** In words. */
  readonly reason: string;
}
/** What the payload of a record is, where a format frames payloads of several kinds. */
export type MessageKind = "example" | "sequence-example" | "raw";

/** How records are decoded, in a format that has a choice ({@link Format.decoding}). Plain data, which can cross a thread. */
export interface DecodeOptions extends Tolerance {
  /** Which features to read: names, or what each one must be. The others are passed over without being decoded. */
  readonly features?: FeatureSelection;
  /** What each record holds. Nothing in the bytes tells them apart. Default `example`. */
  readonly message?: MessageKind;
}

/** How shards are read. */
export interface ReadOptions extends DecodeOptions {
  readonly limits?: Partial<Limits>;
  /** An index made earlier by {@link ShardReader.index}: spares the scan. A function is called when the index is first needed. */
  readonly index?: RecordIndex | (() => RecordIndex | undefined);
  /** Called with the reason when an index beside the shard is not used, because it is not of the file as it is now. */
  readonly onIgnoredIndex?: (reason: string) => void;
  /** Called with what is passed over because {@link Tolerance} says so, each time that it is: a scan and a reading tell of it twice. */
  readonly onTolerated?: (tolerated: Tolerated) => void;
}

/** A feature that is a tensor of one dtype and shape in every record. */
export interface ColumnSpec {
  readonly name: string;
  readonly dtype: DType;
  /** Of one record. */
  readonly shape: readonly number[];
}

/** Rows to be filled: for each column the elements of all rows, row-major, and the keys of the rows if they are wanted. */
export interface ColumnRows {
  readonly columns: readonly TensorData[];
  /** The key of each row is added at the end. */
  readonly keys?: string[];
}

/**
 * Reads records into rows of the caller's memory, without a sample for each. What it gives is bit for bit what
 * {@link ShardReader.read} gives, with all its checks.
 */
export interface ColumnReader {
  /**
   * Reads `records[0]`, `records[1]`, ... into the rows from `row` on, up to the first record whose sample has not exactly these
   * columns, and says how many were read.
   *
   * @throws {RangeError} when there is no such record.
   * @throws {KdataError} with the position when a record is damaged.
   */
  read(records: ArrayLike<number>, into: ColumnRows, row: number): number;
  /**
   * Reads on in order, without an index: at most `count` records into the rows from `row` on. Says how many were read: fewer only
   * at the end of the shard.
   *
   * @throws {KdataError} `shape` when a record's sample has not exactly these columns; with the position when it is damaged.
   */
  next(into: ColumnRows, row: number, count: number): number;
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
  /**
   * Reads every record in order, with all checks and those of an index, and goes on behind a damaged one as long as the next
   * one can be found.
   *
   * @throws {KdataError} `input` when the system refuses the read.
   */
  check(): Iterable<Sample | Fault>;
  /**
   * Reads a framed shard once for an index with checksums, whatever index there is: gives the end of each record, and the
   * index at last. `undefined` where records are found by arithmetic.
   *
   * @throws {KdataError} where the framing breaks.
   */
  scan(): Generator<number, ChecksummedIndex> | undefined;
  /**
   * Finds the records of a framed shard by their headers, one at a step, so that `index` and `count` are at hand afterwards. For
   * whoever must not block its thread for as long as a large shard takes.
   *
   * @throws {KdataError} where the framing breaks.
   */
  locate?(): Generator<void, RecordIndex>;
  /** The index of a framed format; `undefined` where records are found by arithmetic. */
  index(): RecordIndex | undefined;
  /** Makes a reader of columns. A format that reads samples as fast leaves it out, or gives `undefined`. */
  columns?(columns: readonly ColumnSpec[]): ColumnReader | undefined;
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
  /** The options of {@link DecodeOptions} that it honours. The others are refused. Without it: none. */
  readonly decoding?: readonly (keyof DecodeOptions)[];
  /**
   * Whether records are found without an index, so that an index beside a file only vouches for its bytes: blocks of them are held
   * to their checksums when they are read.
   */
  readonly sealed?: true;
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
  /** The forms of an index that other tools read for this format. */
  readonly indexForms?: readonly IndexForm[];
}
