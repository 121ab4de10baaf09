// Samples that are kept from epoch to epoch for all workers of a loader: where each lies stands in shared memory, one atomic word a record,
// written when all of it is there. Nothing is locked; a worker that dies over a sample leaves it to be made again.

/** Where the samples of a data set are kept. Plain data and shared memory, which can cross a thread. */
export interface SampleCache {
  /** For each record, from 0 on, 0 or the place of its entry plus 1. Records beyond it are not kept. */
  readonly places: BigUint64Array<SharedArrayBuffer>;
  /** See {@link COUNTERS}. */
  readonly counters: BigInt64Array<SharedArrayBuffer>;
  /** Memory for entries, or the folder that has them. */
  readonly kept: { readonly arena: SharedArrayBuffer } | CacheFolder;
}

/** A folder with entries. */
export interface CacheFolder {
  readonly folder: string;
  /** 64 hexadecimal digits that stand for all that the entries depend on. */
  readonly key: string;
  readonly maxBytes: number;
}

/** What the counters count. */
export const COUNTERS = {
  hits: 0,
  misses: 1,
  stored: 2,
  bytes: 3,
  damaged: 4,
  files: 5,
  isFull: 6,
  failures: 7,
} as const;

/** What a cache has done for a loader. */
export interface CacheStats {
  /** Samples that were found, and that had to be made. */
  readonly hits: number;
  readonly misses: number;
  /** Samples that were added, and the bytes of all that there are; in memory also those of what found no room. */
  readonly stored: number;
  readonly bytes: number;
  /** Entries that were damaged, and made again. */
  readonly damaged: number;
  /** Samples found no room any more. */
  readonly isFull: boolean;
  /** Workers that gave up writing, because the disk is full or cannot be written. */
  readonly failures: number;
}

// So that the places take at most half a gigabyte; data sets of more records are not decoded into a cache.
const MAX_RECORDS = 2 ** 26;
// Places in memory take no more than an eighth of what samples may take.
const MEMORY_PER_PLACE = 64;

/** Makes a cache in memory for so many records. @throws {RangeError} when there is no such memory. */
export function memoryCache(records: number, maxBytes: number): SampleCache {
  const places = Math.min(records, Math.floor(maxBytes / MEMORY_PER_PLACE));
  return { ...startCache(places), kept: { arena: new SharedArrayBuffer(maxBytes) } };
}

/** Makes a cache in a folder for so many records. */
export function folderCache(records: number, kept: CacheFolder): SampleCache {
  return { ...startCache(records), kept };
}

/** Says what a cache has done. */
export function cacheStats({ counters }: SampleCache): CacheStats {
  function of(counter: keyof typeof COUNTERS): number {
    return Number(Atomics.load(counters, COUNTERS[counter]));
  }
  return {
    hits: of("hits"),
    misses: of("misses"),
    stored: of("stored"),
    bytes: of("bytes"),
    damaged: of("damaged"),
    isFull: of("isFull") > 0,
    failures: of("failures"),
  };
}

/** Adds to a counter, and gives what it was. */
export function count({ counters }: SampleCache, counter: keyof typeof COUNTERS, by = 1): number {
  return Number(Atomics.add(counters, COUNTERS[counter], BigInt(by)));
}

function startCache(records: number): Omit<SampleCache, "kept"> {
  const places = Math.min(records, MAX_RECORDS);
  const counters = Object.keys(COUNTERS).length;
  return {
    places: new BigUint64Array(new SharedArrayBuffer(places * BigUint64Array.BYTES_PER_ELEMENT)),
    counters: new BigInt64Array(new SharedArrayBuffer(counters * BigInt64Array.BYTES_PER_ELEMENT)),
  };
}
