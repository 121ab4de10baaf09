// A cache in a folder: `<folder>/<key>/000001.kcache` and so on, each written by one worker and only ever appended to. All numbers are
// little-endian.
//
//   "KCCH", version (uint32), key (32 bytes), CRC-32C of these (uint32), 0 (uint32)
//   for each sample: record (float64), length (uint32), CRC-32C of the payload (uint32), CRC-32C of these (uint32), 0 (uint32),
//   payload, a multiple of 8 bytes; a length of 0 for one that was filtered out
//
// A file that is cut short, as by a process that was killed, ends at its last whole entry. Payloads are held to their checksums when they are read.

import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, readSync, writeSync } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { KdataError, messageOf } from "../core/errors.ts";
import type { Sample } from "../core/sample.ts";
import { takeTurns } from "../core/turns.ts";
import { crc32c } from "../readers/crc32c.ts";
import { countRead } from "../readers/read-meter.ts";
import type { SampleStore } from "../transforms/transform.ts";
import { decodeSample, encodeSample } from "./sample-bytes.ts";
import { count, COUNTERS, type CacheFolder, type SampleCache } from "./sample-cache.ts";

const MAGIC = "KCCH";
const VERSION = 1;
const HEAD_BYTES = 48;
const ENTRY_BYTES = 24;
const NAME = /^(\d{6,})\.kcache$/;
const NAME_DIGITS = 6;
/** The lower bits of a place are those of the offset. */
const OFFSET_BITS = 44n;
const MAX_OFFSET = 2 ** 44;
const MAX_FILES = 2 ** 19; // the other bits of a place, but for the sign
const SCAN_BYTES = 2 ** 16;
// Files that one maker of batches has open at a time.
const OPEN_FILES = 16;
const NAMES_KEPT = 32; // digits of the key that name the folder: 128 bits

/** Says of each file how long it is and when it was modified, in nanoseconds. @throws {KdataError} `input` when one is missing. */
export async function fileTimes(paths: readonly string[]): Promise<readonly string[]> {
  const times: string[] = [];
  for (const path of paths) {
    try {
      const { size, mtimeNs } = await stat(path, { bigint: true });
      times.push(`${size} ${mtimeNs}`);
    } catch (cause) {
      throw new KdataError("input", "Cannot cache: a file of the data set cannot be found", {
        at: { source: path },
        cause,
      });
    }
  }
  return times;
}

/**
 * Makes the folder where it is missing, and takes up the entries that it has.
 *
 * @throws {KdataError} `input` when it cannot be made or read.
 */
export async function scanFolder(cache: SampleCache, kept: CacheFolder): Promise<void> {
  const path = pathOf(kept);
  try {
    mkdirSync(path, { recursive: true });
    const turns = takeTurns();
    for (const name of readdirSync(path).sort()) {
      const [, number] = NAME.exec(name) ?? [];
      if (number === undefined || Number(number) >= MAX_FILES) continue;
      for (const entry of entriesOf(join(path, name), kept.key)) {
        if (entry.record >= cache.places.length) continue;
        Atomics.store(cache.places, entry.record, placeOf(Number(number), entry.offset));
        count(cache, "bytes", entry.byteLength);
        if (turns.isOver()) await turns.yield();
      }
      Atomics.store(cache.counters, COUNTERS.files, BigInt(number));
    }
  } catch (cause) {
    if (cause instanceof KdataError) throw cause;
    throw new KdataError("input", `Cannot cache: the folder cannot be made or read: ${messageOf(cause)}`, {
      at: { source: path },
      cause,
    });
  }
}

/** The entries of a folder, for one maker of batches. */
export class FolderStore implements SampleStore {
  found: Sample | undefined;
  readonly #cache: SampleCache;
  readonly #kept: CacheFolder;
  /** Files that are read, by number, the one used last at the end. */
  readonly #open = new Map<number, number>();
  #own: { readonly number: number; readonly file: number; end: number } | undefined;
  #hasFailed = false;
  #buffer = new Uint8Array(SCAN_BYTES);
  /** How long the entry was that was read last: the next one may be as long. */
  #usual = SCAN_BYTES;

  constructor(cache: SampleCache, kept: CacheFolder) {
    this.#cache = cache;
    this.#kept = kept;
  }

  find(record: number): Sample | null | undefined {
    this.found = undefined;
    const { places } = this.#cache;
    const place = record < places.length ? Atomics.load(places, record) : 0n;
    if (place > 0n) {
      const sample = this.#read(record, place);
      if (sample !== undefined) {
        count(this.#cache, "hits");
        this.found = sample ?? undefined;
        return sample;
      }
      // Whoever made it again in the meantime has put another place there.
      if (Atomics.compareExchange(places, record, place, 0n) === place) count(this.#cache, "damaged");
    }
    count(this.#cache, "misses");
    return undefined;
  }

  put(record: number, sample: Sample | undefined): void {
    const { places, counters } = this.#cache;
    if (this.#hasFailed || record >= places.length || Atomics.load(counters, COUNTERS.isFull) > 0n) return;
    if (Atomics.load(places, record) > 0n) return; // another worker was faster
    const payload = sample ? encodeSample(sample) : new Uint8Array(0);
    if (!payload) return;
    const entry = encodeEntry(record, payload);
    if (count(this.#cache, "bytes", entry.length) + entry.length > this.#kept.maxBytes) {
      count(this.#cache, "isFull");
    } else if (this.#write(record, entry)) {
      count(this.#cache, "stored");
      return;
    }
    count(this.#cache, "bytes", -entry.length);
  }

  close(): void {
    this.found = undefined;
    for (const file of this.#open.values()) closeSync(file);
    this.#open.clear();
    if (this.#own) closeSync(this.#own.file);
    this.#own = undefined;
  }

  /** Says whether it was written. */
  #write(record: number, entry: Uint8Array): boolean {
    try {
      const own = (this.#own ??= this.#create());
      if (own.end + entry.length > MAX_OFFSET) return false;
      writeAll(own.file, entry, own.end);
      Atomics.store(this.#cache.places, record, placeOf(own.number, own.end));
      own.end += entry.length;
      return true;
    } catch (error) {
      this.#giveUp(error);
      return false;
    }
  }

  /** `undefined` where the entry is not what it should be. */
  #read(record: number, place: bigint): Sample | null | undefined {
    const number = Number((place - 1n) >> OFFSET_BITS);
    const offset = Number((place - 1n) & BigInt(MAX_OFFSET - 1));
    try {
      const file = this.#fileOf(number);
      const began = performance.now();
      let length = readAll(file, this.#buffer.subarray(0, this.#usual), 0, offset);
      const entry = decodeEntry(this.#buffer.subarray(0, length));
      if (entry?.record !== record) return undefined;
      const end = ENTRY_BYTES + entry.payloadBytes;
      if (end > length) {
        if (offset + end > fstatSync(file).size) return undefined;
        if (end > this.#buffer.length) this.#buffer = grow(this.#buffer, end);
        length = readAll(file, this.#buffer.subarray(0, end), length, offset);
      }
      this.#usual = end;
      countRead(length, performance.now() - began);
      if (length < end) return undefined;
      if (crc32c(new DataView(this.#buffer.buffer, ENTRY_BYTES, entry.payloadBytes)) !== entry.checksum)
        return undefined;
      return entry.payloadBytes === 0 ? null : decodeSample(this.#buffer.buffer, ENTRY_BYTES, entry.payloadBytes);
    } catch (error) {
      if (error instanceof KdataError) throw error;
      return undefined; // a file that is gone, or cannot be read: the sample is made again
    }
  }

  #fileOf(number: number): number {
    const file = this.#open.get(number) ?? openSync(join(pathOf(this.#kept), nameOf(number)), "r");
    this.#open.delete(number);
    this.#open.set(number, file);
    for (const [oldest, unused] of this.#open) {
      if (this.#open.size <= OPEN_FILES) break;
      this.#open.delete(oldest);
      closeSync(unused);
    }
    return file;
  }

  /** Makes a file of a name that no other worker and no other process has. */
  #create(): { readonly number: number; readonly file: number; end: number } {
    for (;;) {
      const number = count(this.#cache, "files") + 1;
      if (number >= MAX_FILES) throw new RangeError(`there are ${number} files`);
      const file = createAnew(join(pathOf(this.#kept), nameOf(number)));
      if (file === undefined) continue;
      try {
        writeAll(file, encodeHead(this.#kept.key), 0);
      } catch (error) {
        closeSync(file);
        throw error;
      }
      return { number, file, end: HEAD_BYTES };
    }
  }

  #giveUp(error: unknown): void {
    this.#hasFailed = true;
    const isFirst = count(this.#cache, "failures") === 0;
    if (isFirst) {
      const reason = `kdata keeps no more samples in ${this.#kept.folder}: ${messageOf(error)}`;
      process.emitWarning(reason, { code: "KDATA_CACHE" });
    }
  }
}

/** `undefined` where there is such a file. */
function createAnew(path: string): number | undefined {
  try {
    return openSync(path, "wx");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return undefined;
    throw error;
  }
}

/** An entry of a file. */
interface FoundEntry {
  readonly record: number;
  readonly offset: number;
  readonly byteLength: number;
}

/** Finds the entries of a file from the front, up to the first one that is not whole. */
function* entriesOf(path: string, key: string): Generator<FoundEntry, void> {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const buffer = new Uint8Array(SCAN_BYTES);
    const head = encodeHead(key);
    let length = readAll(file, buffer, 0, 0);
    if (length < HEAD_BYTES || Buffer.compare(buffer.subarray(0, HEAD_BYTES), head) !== 0) return;
    let before = 0; // bytes of the entry before
    for (let [start, offset] = [0, HEAD_BYTES]; offset + ENTRY_BYTES <= size;) {
      if (offset + ENTRY_BYTES > start + length) {
        start = offset;
        // Where entries are large, only what stands before each of them is read.
        length = readAll(file, before > SCAN_BYTES ? buffer.subarray(0, ENTRY_BYTES) : buffer, 0, start);
      }
      const entry = decodeEntry(buffer.subarray(offset - start, length));
      if (!entry) return;
      const byteLength = ENTRY_BYTES + entry.payloadBytes;
      if (offset + byteLength > size) return;
      yield { record: entry.record, offset, byteLength };
      offset += byteLength;
      before = byteLength;
    }
  } finally {
    closeSync(file);
  }
}

function encodeHead(key: string): Uint8Array {
  const bytes = new Uint8Array(HEAD_BYTES);
  const view = new DataView(bytes.buffer);
  bytes.set(new TextEncoder().encode(MAGIC));
  view.setUint32(4, VERSION, true);
  bytes.set(Buffer.from(key, "hex"), 8);
  view.setUint32(40, crc32c(view, 0, 40), true);
  return bytes;
}

function encodeEntry(record: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(ENTRY_BYTES + payload.length);
  const view = new DataView(bytes.buffer);
  bytes.set(payload, ENTRY_BYTES);
  view.setFloat64(0, record, true);
  view.setUint32(8, payload.length, true);
  view.setUint32(12, crc32c(view, ENTRY_BYTES, ENTRY_BYTES + payload.length), true);
  view.setUint32(16, crc32c(view, 0, 16), true);
  return bytes;
}

/** Decodes what stands before a payload. `undefined` where it is cut short or damaged. */
function decodeEntry(
  bytes: Uint8Array,
): { readonly record: number; readonly payloadBytes: number; readonly checksum: number } | undefined {
  if (bytes.length < ENTRY_BYTES) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, ENTRY_BYTES);
  if (view.getUint32(16, true) !== crc32c(view, 0, 16)) return undefined;
  const record = view.getFloat64(0, true);
  if (!Number.isSafeInteger(record) || record < 0) return undefined;
  return { record, payloadBytes: view.getUint32(8, true), checksum: view.getUint32(12, true) };
}

function grow(buffer: Uint8Array, byteLength: number): Uint8Array<ArrayBuffer> {
  const larger = new Uint8Array(Math.ceil(byteLength / SCAN_BYTES) * SCAN_BYTES);
  larger.set(buffer);
  return larger;
}

function readAll(file: number, into: Uint8Array, from: number, position: number): number {
  let length = from;
  while (length < into.length) {
    const read = readSync(file, into, length, into.length - length, position + length);
    if (read === 0) break;
    length += read;
  }
  return length;
}

function writeAll(file: number, bytes: Uint8Array, position: number): void {
  for (let written = 0; written < bytes.length;) {
    written += writeSync(file, bytes, written, bytes.length - written, position + written);
  }
}

function pathOf({ folder, key }: CacheFolder): string {
  return join(folder, key.slice(0, NAMES_KEPT));
}

function nameOf(number: number): string {
  return `${String(number).padStart(NAME_DIGITS, "0")}.kcache`;
}

function placeOf(number: number, offset: number): bigint {
  return ((BigInt(number) << OFFSET_BITS) | BigInt(offset)) + 1n;
}
