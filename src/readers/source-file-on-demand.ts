// A local file that is open only while it is read: a shard may have more files than a process may keep open.

import { FileSource } from "./source-file.ts";
import type { SeekableSource } from "./source.ts";

/** A file that every read opens and closes again. */
export class OnDemandFileSource implements SeekableSource {
  readonly kind = "seekable";
  /** The path. */
  readonly name: string;

  /** Opens nothing yet. */
  constructor(path: string) {
    this.name = path;
  }

  /**
   * The size that the file has now.
   *
   * @throws {KdataError} `input` when the file is missing or cannot be read.
   */
  get size(): number {
    return this.#opened((file) => file.size);
  }

  /**
   * Reads bytes from `position` on and returns how many: fewer than `target.length` only at the end.
   *
   * @throws {KdataError} `input` when the file is missing or cannot be read.
   */
  read(target: Uint8Array, position: number): number {
    return this.#opened((file) => file.read(target, position));
  }

  /** Does nothing: the file is not open. */
  close(): void {
    return;
  }

  #opened<T>(action: (file: FileSource) => T): T {
    const file = new FileSource(this.name);
    try {
      return action(file);
    } finally {
      file.close();
    }
  }
}
