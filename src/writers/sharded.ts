// A sequence of samples as numbered shards: `train-00000.tar`, `train-00001.tar`, ...

import type { Sample } from "../core/sample.ts";
import type { ShardWriter, WritableFormat, WrittenShard } from "./format.ts";

const NUMBER_DIGITS = 5; // as TensorFlow and webdataset number shards; more shards take more digits

/**
 * Where one shard ends and the next begins.
 *
 * - `none`: everything goes into one shard that is named as it is told, without a number
 * - `bytes`: a shard ends with the record that reaches so many bytes
 * - `parts`: `records` records in so many shards, whose sizes differ by one record at most
 */
export type Splitting =
  | { readonly by: "none" }
  | { readonly by: "bytes"; readonly bytes: number }
  | { readonly by: "parts"; readonly parts: number; readonly records: number };

/** What a {@link ShardedWriter} is told beside what to write. */
export interface ShardedWriterOptions {
  /** The number of the first shard; 0 if left out. */
  readonly firstShard?: number;
  /** Called with each shard that is finished, and its path without the extension. */
  readonly onShard?: (written: WrittenShard, stem: string) => void;
}

/** Names a numbered shard: `numberedStem("out/train", 7)` is `out/train-00007`. */
export function numberedStem(stem: string, shard: number): string {
  return `${stem}-${String(shard).padStart(NUMBER_DIGITS, "0")}`;
}

/**
 * Writes samples into shards, in order. A shard is begun with its first sample, so none is empty.
 *
 * Each shard gets its final name when it is full, one after the other.
 */
export class ShardedWriter {
  readonly #format: WritableFormat;
  readonly #stem: string;
  readonly #splitting: Splitting;
  readonly #written: WrittenShard[] = [];
  readonly #options: ShardedWriterOptions;
  #shard: ShardWriter | undefined;
  #records = 0;
  #finishedBytes = 0;

  /**
   * Writes nothing yet. `stem` is the path of the shards without number and extension: `out/train`.
   *
   * @throws {RangeError} when a size or a number of shards is not a whole number from 1 on.
   */
  constructor(format: WritableFormat, stem: string, splitting: Splitting, options: ShardedWriterOptions = {}) {
    if (splitting.by === "bytes") checkWhole("shard size", splitting.bytes);
    if (splitting.by === "parts") checkWhole("number of shards", splitting.parts);
    this.#format = format;
    this.#stem = stem;
    this.#splitting = splitting;
    this.#options = options;
  }

  /** Records taken so far, over all shards. */
  get records(): number {
    return this.#records;
  }

  /** Bytes taken so far, over all shards. */
  get bytes(): number {
    return this.#finishedBytes + (this.#shard?.bytes ?? 0);
  }

  /**
   * Adds one sample. Its memory may be reused afterwards.
   *
   * @throws {KdataError} as {@link ShardWriter.write} and {@link ShardWriter.finish} do.
   */
  write(sample: Sample): void {
    if (this.#shard && this.#isFull(this.#shard)) this.#finishShard(this.#shard);
    this.#shard ??= this.#format.create(this.#nextStem());
    this.#shard.write(sample);
    this.#records++;
  }

  /**
   * Completes the last shard and returns them all, in order.
   *
   * @throws {KdataError} `output` when the system refuses.
   */
  finish(): readonly WrittenShard[] {
    if (this.#shard) this.#finishShard(this.#shard);
    return this.#written;
  }

  /** Removes what is not finished. Shards that are complete stay. */
  abort(): void {
    this.#shard?.abort();
    this.#shard = undefined;
  }

  #nextStem(): string {
    const { firstShard = 0 } = this.#options;
    return this.#splitting.by === "none" ? this.#stem : numberedStem(this.#stem, firstShard + this.#written.length);
  }

  #isFull(shard: ShardWriter): boolean {
    switch (this.#splitting.by) {
      case "none":
        return false;
      case "bytes":
        return shard.bytes >= this.#splitting.bytes;
      case "parts":
        return this.#records >= partEnd(this.#written.length, this.#splitting);
    }
  }

  #finishShard(shard: ShardWriter): void {
    const stem = this.#nextStem();
    if (shard.records === 0) {
      // Its only samples were refused, and the caller went on.
      this.abort();
      return;
    }
    const written = shard.finish();
    this.#written.push(written);
    for (const file of written.files) this.#finishedBytes += file.bytes;
    this.#shard = undefined;
    this.#options.onShard?.(written, stem);
  }
}

/**
 * Gives the number of the record after the last one of a part; `Infinity` for the last part. Fewer records than parts give
 * as many parts as records.
 */
export function partEnd(part: number, splitting: { readonly parts: number; readonly records: number }): number {
  const parts = Math.max(1, Math.min(splitting.parts, splitting.records));
  return part === parts - 1 ? Infinity : Math.floor(((part + 1) * splitting.records) / parts);
}

function checkWhole(what: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new RangeError(`Cannot split into shards: the ${what} is ${value}, not a whole number from 1 on`);
  }
}
