// Files that appear whole or not at all: the bytes go to a partial file beside the final path, which is synced and renamed
// when it is complete. POSIX makes the rename atomic: https://pubs.opengroup.org/onlinepubs/9799919799/functions/rename.html

import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";

import { KdataError } from "../core/errors.ts";
import type { ByteSink } from "./sink.ts";

const BUFFER_BYTES = 1 << 20; // one MiB a write: moving so much takes far longer than the call, so larger ones are no faster

/**
 * One output file under construction. Its bytes lie in `.<name>.partial` in the directory of the final path, until `commit`
 * renames it. What a killed process leaves is such a hidden partial file; the next run that writes the same path replaces it.
 *
 * Appended bytes are copied into one reused buffer, so the caller's memory may be reused at once.
 */
export class PartialFile implements ByteSink {
  /** The final path. */
  readonly path: string;
  readonly #partial: string;
  readonly #descriptor: number;
  readonly #inode: number;
  readonly #buffer: Uint8Array;
  #used = 0;
  #flushed = 0;
  #hasSetAside = false;
  #state: "open" | "sealed" | "published" | "gone" = "open";

  /**
   * Makes the directory if there is none, and the partial file. `bufferBytes` is the memory to gather writes in: a writer of
   * many files takes less for each.
   *
   * @throws {KdataError} `output` when the system refuses.
   */
  constructor(path: string, bufferBytes: number = BUFFER_BYTES) {
    this.path = path;
    this.#partial = partialPath(path);
    this.#buffer = new Uint8Array(bufferBytes);
    [this.#descriptor, this.#inode] = attempt(path, () => {
      mkdirSync(dirname(path), { recursive: true });
      rmSync(this.#partial, { force: true });
      // Exclusive: neither a link nor another process's file is ever written through.
      const descriptor = openSync(this.#partial, "wx+");
      return [descriptor, fstatSync(descriptor).ino];
    });
  }

  /** Bytes appended so far, those in the buffer included. */
  get bytes(): number {
    return this.#flushed + this.#used;
  }

  /**
   * Adds bytes at the end. They are copied.
   *
   * @throws {KdataError} `output` when the disk refuses.
   */
  append(bytes: Uint8Array): void {
    let taken = 0;
    while (taken < bytes.length) {
      if (this.#used === this.#buffer.length) this.#flush();
      const count = Math.min(bytes.length - taken, this.#buffer.length - this.#used);
      this.#buffer.set(count === bytes.length ? bytes : bytes.subarray(taken, taken + count), this.#used);
      this.#used += count;
      taken += count;
    }
  }

  /**
   * Adds `count` zero bytes at the end.
   *
   * @throws {KdataError} `output` when the disk refuses.
   */
  appendZeros(count: number): void {
    let left = count;
    while (left > 0) {
      if (this.#used === this.#buffer.length) this.#flush();
      const end = Math.min(this.#used + left, this.#buffer.length);
      this.#buffer.fill(0, this.#used, end);
      left -= end - this.#used;
      this.#used = end;
    }
  }

  /**
   * Adds all bytes of another file; `onBlock` sees them, block by block.
   *
   * @throws {KdataError} `output` when the disk refuses.
   */
  appendFile(file: PartialFile, onBlock?: (block: Uint8Array) => void): void {
    const block = new Uint8Array(Math.min(BUFFER_BYTES, file.bytes));
    for (let position = 0; position < file.bytes; position += block.length) {
      const part = block.subarray(0, Math.min(block.length, file.bytes - position));
      file.read(part, position);
      onBlock?.(part);
      this.append(part);
    }
  }

  /**
   * Replaces bytes that were appended earlier.
   *
   * @throws {RangeError} when the range was not appended yet.
   * @throws {KdataError} `output` when the disk refuses.
   */
  patch(position: number, bytes: Uint8Array): void {
    this.#checkRange(position, bytes.length);
    this.#flush();
    this.#writeAll(bytes, position);
  }

  /**
   * Reads bytes that were appended earlier.
   *
   * @throws {RangeError} when the range was not appended yet.
   * @throws {KdataError} `output` when the disk refuses.
   */
  read(target: Uint8Array, position: number): void {
    this.#checkRange(position, target.length);
    this.#flush();
    attempt(this.path, () => {
      let done = 0;
      while (done < target.length) {
        const count = readSync(this.#descriptor, target, done, target.length - done, position + done);
        if (count === 0)
          throw new KdataError("output", "Cannot write output: its partial file was cut by another process");
        done += count;
      }
    });
  }

  /**
   * Completes the file: flushes, syncs and renames it to its final path, over a file that is there.
   *
   * @throws {KdataError} `output` when the system refuses; nothing of the file is left then.
   */
  commit(): void {
    commitTogether([this]);
  }

  /** Removes the partial file. Harmless after `commit`. */
  abort(): void {
    if (this.#state === "published" || this.#state === "gone") return;
    if (this.#state === "open") closeSync(this.#descriptor);
    this.#state = "gone";
    attempt(this.path, () => {
      if (this.#isOwn()) rmSync(this.#partial);
    });
  }

  /** Flushes, syncs and closes the partial file: the first half of {@link commitTogether}. */
  seal(): void {
    this.#flush();
    attempt(this.path, () => {
      fsyncSync(this.#descriptor);
      if (!this.#isOwn()) {
        throw new KdataError("output", "Cannot write output: another process writes the same path", {
          at: { source: this.path },
        });
      }
      this.#state = "sealed";
      closeSync(this.#descriptor);
    });
  }

  /** Renames the sealed partial file to its final path: the second half of {@link commitTogether}. */
  publish(): void {
    attempt(this.path, () => {
      renameSync(this.#partial, this.path);
    });
    this.#state = "published";
  }

  /** Gives a file that has the final path another name, for {@link retract} to put it back. A directory stays. */
  setAside(): void {
    attempt(this.path, () => {
      if (lstatSync(this.path, { throwIfNoEntry: false })?.isDirectory() !== false) return;
      renameSync(this.path, asidePath(this.path));
      this.#hasSetAside = true;
    });
  }

  /** Removes the file under whichever name it has, and puts back what was set aside. */
  retract(): void {
    attempt(this.path, () => {
      if (this.#hasSetAside) renameSync(asidePath(this.path), this.path);
      else if (this.#state === "published") rmSync(this.path, { force: true });
    });
    this.#hasSetAside = false;
    this.abort();
  }

  /** Removes what was set aside. */
  dropAside(): void {
    if (!this.#hasSetAside) return;
    attempt(this.path, () => {
      rmSync(asidePath(this.path), { force: true });
    });
    this.#hasSetAside = false;
  }

  #checkRange(position: number, length: number): void {
    if (position < 0 || position + length > this.bytes) {
      throw new RangeError(`Cannot reach bytes ${position} to ${position + length} of a file of ${this.bytes}`);
    }
  }

  /** Says whether the partial name still is this file: another process that writes the same path takes the name over. */
  #isOwn(): boolean {
    return statSync(this.#partial, { throwIfNoEntry: false })?.ino === this.#inode;
  }

  #flush(): void {
    this.#writeAll(this.#buffer.subarray(0, this.#used), this.#flushed);
    this.#flushed += this.#used;
    this.#used = 0;
  }

  #writeAll(bytes: Uint8Array, position: number): void {
    attempt(this.path, () => {
      let done = 0;
      while (done < bytes.length) {
        done += writeSync(this.#descriptor, bytes, done, bytes.length - done, position + done);
      }
    });
  }
}

/**
 * Completes several files as one: none gets its final name before every one of them is whole and synced.
 *
 * @throws {KdataError} `output` when the system refuses; nothing of any of the files is left then, and what had their final
 *   names has them again. If even that is refused, the message says where it lies.
 */
export function commitTogether(files: readonly PartialFile[]): void {
  try {
    for (const file of files) file.seal();
    for (const file of files) {
      // A single file replaces the old one in one step; of several, one may be refused when others are replaced already.
      if (files.length > 1) file.setAside();
      file.publish();
    }
  } catch (error) {
    throw retractAll(files, error);
  }
  for (const directory of new Set(files.map((file) => dirname(file.path)))) syncDirectory(directory);
  for (const file of files) file.dropAside();
}

/**
 * Lists the names in an output directory; none when there is no such directory yet.
 *
 * @throws {KdataError} `output` when the system refuses.
 */
export function listOutputs(directory: string): readonly string[] {
  return attempt(directory, () => (existsSync(directory) ? readdirSync(directory) : []));
}

/** Retracts all files, whatever becomes of each, and gives the error to throw: the cause, unless an old file is not in its place. */
function retractAll(files: readonly PartialFile[], cause: unknown): unknown {
  const displaced = files.filter((file) => {
    try {
      file.retract();
      return false;
    } catch (error) {
      if (!(error instanceof KdataError)) throw error;
      // The cause says why the system refuses; what is new here is only where an old file was left.
      return existsSync(asidePath(file.path));
    }
  });
  const [first] = displaced;
  if (!first) return cause;
  return new KdataError("output", "Cannot write output, nor put back what was there", {
    at: { source: first.path },
    hint: `It is kept as ${displaced.map(({ path }) => asidePath(path)).join(", ")}.`,
    cause,
  });
}

/** Names what had a final path before: hidden, as the partial file is. */
function asidePath(path: string): string {
  return join(dirname(path), `.${basename(path)}.previous`);
}

/** Names the partial file of a final path: hidden, so that patterns like `*.tar` pass over it. */
function partialPath(path: string): string {
  return join(dirname(path), `.${basename(path)}.partial`);
}

/** Makes the renames in a directory durable. Windows cannot sync a directory and does not need it. */
function syncDirectory(directory: string): void {
  if (process.platform === "win32") return;
  attempt(directory, () => {
    const descriptor = openSync(directory, "r");
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  });
}

/** Runs file system calls; what the system refuses becomes a typed error that names the final path. */
function attempt<T>(path: string, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (error instanceof KdataError || !(error instanceof Error)) throw error;
    const code = "code" in error && typeof error.code === "string" ? error.code : error.message;
    const known = refusals[code];
    throw new KdataError("output", `Cannot write output: ${known?.reason ?? code}`, {
      at: { source: path },
      ...(known ? { hint: known.hint } : {}),
      cause: error,
    });
  }
}

const refusals: Readonly<Record<string, { readonly reason: string; readonly hint: string }>> = {
  ENOSPC: { reason: "the disk is full (ENOSPC)", hint: "Free some space, or write to another disk." },
  EDQUOT: { reason: "the quota is used up (EDQUOT)", hint: "Free some space, or write to another disk." },
  EACCES: { reason: "no permission (EACCES)", hint: "Choose a directory you may write to." },
  EPERM: { reason: "not permitted (EPERM)", hint: "Choose a directory you may write to." },
  EROFS: { reason: "the file system is read-only (EROFS)", hint: "Choose a directory you may write to." },
  ENOTDIR: { reason: "a part of the path is a file (ENOTDIR)", hint: "Choose a directory as the output." },
  EEXIST: { reason: "the directory's name is taken by a file (EEXIST)", hint: "Choose a directory as the output." },
  EISDIR: { reason: "the path is a directory (EISDIR)", hint: "Choose another output, or remove the directory." },
  ENAMETOOLONG: {
    reason: "the file name is too long (ENAMETOOLONG)",
    hint: "Shorten the name of the shard or the feature.",
  },
  EMFILE: {
    reason: "too many open files (EMFILE)",
    hint: "Raise the limit with `ulimit -n`, or write fewer features.",
  },
};
