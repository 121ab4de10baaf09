// A local file as a seekable source: synchronous positional reads into memory of the caller.

import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { KdataError } from "../core/errors.ts";
import { countRead } from "./read-meter.ts";
import type { SeekableSource } from "./source.ts";

/** An open local file. Its size is the one it had when it was opened. */
export class FileSource implements SeekableSource {
  readonly kind = "seekable";
  /** The path. */
  readonly name: string;
  readonly size: number;
  /** When it was last modified, in nanoseconds since 1970, as of when it was opened. */
  readonly modifiedNs: bigint;
  #descriptor: number | undefined;

  /**
   * Opens a regular file for reading.
   *
   * @throws {KdataError} `input` when the file is missing, cannot be read or is not a regular file.
   */
  constructor(path: string) {
    this.name = path;
    const descriptor = refusable(path, () => openSync(path, "r"));
    try {
      const status = refusable(path, () => fstatSync(descriptor, { bigint: true }));
      if (!status.isFile()) {
        const what = status.isDirectory() ? "it is a directory" : "it is not a regular file";
        throw new KdataError("input", `Cannot open input: ${what}`, { at: { source: path } });
      }
      this.size = Number(status.size);
      this.modifiedNs = status.mtimeNs;
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    this.#descriptor = descriptor;
  }

  /**
   * Reads bytes from `position` on into `target` and returns how many were read: fewer than `target.length` only at the end.
   *
   * @throws {KdataError} `input` when the system refuses the read.
   * @throws {TypeError} when the source is closed.
   */
  read(target: Uint8Array, position: number): number {
    const descriptor = this.#descriptor;
    if (descriptor === undefined) throw new TypeError(`Cannot read ${this.name}: the source is closed`);
    const began = performance.now();
    let filled = 0;
    try {
      while (filled < target.length) {
        const count = readSync(descriptor, target, filled, target.length - filled, position + filled);
        if (count === 0) break;
        filled += count;
      }
    } catch (cause) {
      throw refusal(this.name, "read", cause);
    }
    countRead(filled, performance.now() - began);
    return filled;
  }

  /** Closes the file. Calling it twice is harmless. */
  close(): void {
    const descriptor = this.#descriptor;
    this.#descriptor = undefined;
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/**
 * Opens a regular file for reading if there is one.
 *
 * @throws {KdataError} `input` when it cannot be read or is not a regular file.
 */
export function openIfThere(path: string): FileSource | undefined {
  return existsSync(path) ? new FileSource(path) : undefined;
}

/** Opens what the system may refuse, and says so in an `input` error with the path. */
function refusable<T>(path: string, attempt: () => T): T {
  try {
    return attempt();
  } catch (cause) {
    throw refusal(path, "open", cause);
  }
}

function refusal(path: string, action: "open" | "read", cause: unknown): KdataError {
  return new KdataError("input", `Cannot ${action} input: ${systemReason(cause)}`, { at: { source: path }, cause });
}

function systemReason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const code = "code" in cause ? cause.code : undefined;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EACCES" || code === "EPERM") return "there is no permission to read it";
  return cause.message;
}
