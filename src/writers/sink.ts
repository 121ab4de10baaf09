// Where the bytes of a shard go that is written from front to back: a file that appears whole, or a stream.

/** Bytes taken in order. */
export interface ByteSink {
  /** The final path; of a stream its name for messages. */
  readonly path: string;
  /** Bytes appended so far, those in buffers included. */
  readonly bytes: number;
  /**
   * Adds bytes at the end. They are copied.
   *
   * @throws {KdataError} `output` when the disk refuses.
   */
  append(bytes: Uint8Array): void;
  /** Adds `count` zero bytes at the end. */
  appendZeros(count: number): void;
  /** Completes it: a file gets its final name. */
  commit(): void;
  /** Lets go of what is not complete. Harmless after `commit`. */
  abort(): void;
}

/** A sink that keeps what it is given until somebody takes it, to write it to a stream. */
export class StreamSink implements ByteSink {
  readonly path: string;
  #chunks: Uint8Array[] = [];
  #bytes = 0;
  #pending = 0;

  /** `name` stands for the stream in messages and default keys. */
  constructor(name: string) {
    this.path = name;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Bytes that nobody has taken yet. */
  get pendingBytes(): number {
    return this.#pending;
  }

  append(bytes: Uint8Array): void {
    this.#add(bytes.slice());
  }

  appendZeros(count: number): void {
    this.#add(new Uint8Array(count));
  }

  /** Takes what was appended since the last time, in one piece. */
  take(): Uint8Array {
    const taken = Buffer.concat(this.#chunks, this.#pending);
    this.#chunks = [];
    this.#pending = 0;
    return taken;
  }

  commit(): void {
    // What is still here is taken by whoever writes the stream.
  }

  abort(): void {
    this.#chunks = [];
    this.#pending = 0;
  }

  #add(bytes: Uint8Array): void {
    this.#chunks.push(bytes);
    this.#bytes += bytes.length;
    this.#pending += bytes.length;
  }
}
