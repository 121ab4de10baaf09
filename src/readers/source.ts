// Where bytes come from. A seekable source is read at any position, synchronously, into memory the caller owns and reuses:
// on a warm file this is 10 to 40 times as fast as streams or readFile (docs/design.md). A stream is read once, in order.

/** Bytes that can be read at any position: a local file, or memory. */
export interface SeekableSource {
  readonly kind: "seekable";
  /** The path, or another name for messages. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /**
   * Reads bytes from `position` on into `target` and returns how many were read: fewer than `target.length` only at the end.
   *
   * @throws {KdataError} `input` when the system refuses the read.
   */
  read(target: Uint8Array, position: number): number;
  close(): void;
}

/** Bytes that come once, in order: standard input, a pipe, a compressed file. */
export interface StreamSource {
  readonly kind: "stream";
  readonly name: string;
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Either kind of source. */
export type ByteSource = SeekableSource | StreamSource;
