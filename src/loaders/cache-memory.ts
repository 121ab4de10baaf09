// A cache in shared memory. The room for an entry is reserved by one atomic addition, so that workers write side by side.

import type { Sample } from "../core/sample.ts";
import type { SampleStore } from "../transforms/transform.ts";
import { decodeSample, encodeSample } from "./sample-bytes.ts";
import { count, COUNTERS, type SampleCache } from "./sample-cache.ts";

// Before each entry: its length, 0 for a sample that was filtered out.
const PREFIX_BYTES = 8;

/** Entries in shared memory, one behind the other. */
export class MemoryStore implements SampleStore {
  found: Sample | undefined;
  readonly #cache: SampleCache;
  readonly #arena: Uint8Array<SharedArrayBuffer>;
  readonly #lengths: DataView;
  /** Samples are handed out from here: what a transform does to them must not change what is kept. */
  #copy = new Uint8Array(0);

  constructor(cache: SampleCache, arena: SharedArrayBuffer) {
    this.#cache = cache;
    this.#arena = new Uint8Array(arena);
    this.#lengths = new DataView(arena);
  }

  find(record: number): Sample | null | undefined {
    this.found = undefined;
    const { places } = this.#cache;
    const place = record < places.length ? Number(Atomics.load(places, record)) - 1 : -1;
    count(this.#cache, place < 0 ? "misses" : "hits");
    if (place < 0) return undefined;
    const byteLength = this.#lengths.getUint32(place, true);
    if (byteLength === 0) return null;
    if (this.#copy.length < byteLength) this.#copy = new Uint8Array(byteLength);
    this.#copy.set(this.#arena.subarray(place + PREFIX_BYTES, place + PREFIX_BYTES + byteLength));
    this.found = decodeSample(this.#copy.buffer, 0, byteLength);
    return this.found;
  }

  put(record: number, sample: Sample | undefined): void {
    const { places, counters } = this.#cache;
    if (record >= places.length || Atomics.load(counters, COUNTERS.isFull) > 0n) return;
    if (Atomics.load(places, record) > 0n) return; // another worker was faster
    const bytes = sample ? encodeSample(sample) : new Uint8Array(0);
    if (!bytes) return;
    const room = PREFIX_BYTES + bytes.length;
    const place = count(this.#cache, "bytes", room);
    if (place + room > this.#arena.length) {
      count(this.#cache, "isFull"); // what was reserved stays so: others may have reserved behind it
      return;
    }
    this.#lengths.setUint32(place, bytes.length, true);
    this.#arena.set(bytes, place + PREFIX_BYTES);
    count(this.#cache, "stored");
    Atomics.store(places, record, BigInt(place + 1));
  }

  close(): void {
    this.found = undefined;
  }
}
