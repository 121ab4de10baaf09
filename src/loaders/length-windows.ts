// Orders that depend on the lengths of samples: `bucketByLength` and `pack` with a window. The order of an epoch is taken a window of
// positions at a time, and what is in a window is put in another order within it. So every sample keeps its window, the positions that a
// state counts stay what they are, and the rest of an epoch can be divided anew at any of them.

import { deriveKey, RandomStream } from "../core/random.ts";
import { packBestFit } from "../transforms/best-fit.ts";
import { bucketOf } from "../transforms/bucket-by-length.ts";
import type { LengthRule } from "../transforms/chain.ts";
import type { LengthTable, LengthTaker } from "./length-table.ts";

/** How an epoch is divided into windows. Plain data and shared memory, which can cross a thread. */
export interface LengthWindows {
  /** Positions of a window; the last one of an epoch may have fewer. */
  readonly size: number;
  /** So many samples of about one length follow one another: those of a global batch. */
  readonly run: number;
  /** Tells apart what finds the lengths. */
  readonly digest: string;
  readonly table: LengthTable;
}

/** Samples of a batch. */
export interface Piece {
  /** Their positions in the epoch's order. */
  readonly positions: readonly number[];
  /** In ascending order, which row each of them shares, where that was decided beforehand. */
  readonly rowOf?: readonly number[];
}

/** A window whose lengths are known. */
interface OpenWindow {
  readonly epoch: number;
  readonly window: number;
  /** Gives what stands at `[start, end)` of it. */
  readonly pieceAt: (start: number, end: number) => Piece;
}

/** What the windows of one maker of batches work from. */
interface WindowSettings {
  readonly windows: LengthWindows;
  readonly rule: LengthRule;
  /** Positions of an epoch. */
  readonly positions: number;
  readonly seed: number;
  /** Windows give their batches in random order. */
  readonly isShuffled: boolean;
  readonly taker: LengthTaker;
}

// What tells the draws of windows from those of samples, which have (seed, epoch, record, place) or three of them as their key.
const DRAW_RUNS = [5, 1, 2] as const;
// A batch may reach from one window into the next.
const OPEN_WINDOWS = 2;

/** Finds which positions of the epoch's own order make up a batch. */
export class WindowOrder {
  readonly #settings: WindowSettings;
  #open: OpenWindow[] = [];

  constructor(settings: WindowSettings) {
    this.#settings = settings;
  }

  /**
   * Gives the positions of `[start, end)`, which may go beyond the epoch: into its start.
   *
   * @throws {KdataError} what measuring throws.
   */
  piece(epoch: number, start: number, end: number): Piece {
    const { positions, windows } = this.#settings;
    const found: number[] = [];
    const rowOf: number[] = [];
    let rows = 0;
    for (let at = start; at < end;) {
      const position = at % positions;
      const window = Math.floor(position / windows.size);
      const from = window * windows.size;
      const until = Math.min(position + end - at, from + windows.size, positions);
      const piece = this.#windowAt(epoch, window).pieceAt(position - from, until - from);
      for (const offset of piece.positions) found.push(from + offset);
      for (const row of piece.rowOf ?? []) rowOf.push(rows + row);
      rows = (rowOf.at(-1) ?? -1) + 1;
      at += until - position;
    }
    return this.#settings.rule.kind === "pack" ? { positions: found, rowOf } : { positions: found };
  }

  #windowAt(epoch: number, window: number): OpenWindow {
    const known = this.#open.find((open) => open.epoch === epoch && open.window === window);
    if (known) return known;
    const { windows, positions, rule, taker } = this.#settings;
    const from = window * windows.size;
    const count = Math.min(windows.size, positions - from);
    const number = epoch * Math.ceil(positions / windows.size) + window;
    const lengths = fillGaps(taker.lengthsOf({ number, from, count }, epoch));
    const pieceAt = rule.kind === "pack" ? packed(lengths, rule.length) : this.#bucketed(lengths, epoch, window);
    const opened = { epoch, window, pieceAt };
    this.#open = [opened, ...this.#open].slice(0, OPEN_WINDOWS);
    return opened;
  }

  #bucketed({ nearest }: Lengths, epoch: number, window: number): OpenWindow["pieceAt"] {
    const { windows, rule, seed, isShuffled } = this.#settings;
    const boundaries = rule.kind === "bucket" ? rule.boundaries : undefined;
    const buckets = nearest.map((length) => bucketOf(length, boundaries));
    const stream = isShuffled ? new RandomStream(deriveKey(seed, epoch, window, ...DRAW_RUNS)) : undefined;
    const order = orderByRuns(buckets, windows.run, stream);
    return (start, end) => ({ positions: order.slice(start, end) });
  }
}

/** Lengths of a window. */
interface Lengths {
  /** -1 for a sample without one. */
  readonly own: Float64Array;
  /** A sample without one has that of the sample before it, at the start of the window that of the first one with any. */
  readonly nearest: Float64Array;
}

function fillGaps(own: Float64Array): Lengths {
  let last = own.find((length) => length >= 0) ?? 0;
  return { own, nearest: own.map((length) => (length >= 0 ? (last = length) : last)) };
}

/**
 * Sorts a window by bucket and cuts it into runs, within which it stays as it was. What fills no whole run comes last; with `stream`, it is taken
 * at a random length and the runs come in random order.
 */
function orderByRuns(buckets: Float64Array, run: number, stream: RandomStream | undefined): readonly number[] {
  const sorted = Array.from(buckets, (_, i) => i).sort(
    (a, b) => (buckets[a] as number) - (buckets[b] as number) || a - b,
  );
  const whole = Math.floor(sorted.length / run);
  const gap = stream ? stream.below(whole + 1) : whole;
  const rest = sorted.splice(gap * run, sorted.length - whole * run);
  const runs = Array.from({ length: whole }, (_, i) => sorted.slice(i * run, (i + 1) * run));
  stream?.shuffle(runs);
  return [...runs, rest].flatMap((items) => items.sort((a, b) => a - b));
}

/**
 * Packs a window. Its rows are dealt out to its positions evenly: `[start, end)` of n positions has the rows from start / n of them on to
 * end / n. A sample without a length is with the one before it, whose row it shares as far as it goes.
 */
function packed({ own }: Lengths, capacity: number): OpenWindow["pieceAt"] {
  const measured = Array.from(own, (_, i) => i).filter((i) => (own[i] as number) >= 0);
  const rows = packBestFit(
    measured.map((i) => own[i] as number),
    capacity,
  ).map((row) => row.map((item) => measured[item] as number));
  const rowOf = new Map(rows.flatMap((row, number) => row.map((i) => [i, number])));
  let last = measured[0] === undefined ? 0 : (rowOf.get(measured[0]) ?? 0);
  const full: number[][] = Array.from({ length: Math.max(1, rows.length) }, () => []);
  for (let i = 0; i < own.length; i++) full[(last = rowOf.get(i) ?? last)]?.push(i);
  function rowAt(offset: number): number {
    return Math.ceil((offset * full.length) / own.length);
  }
  return (start, end) => {
    const taken = full.slice(rowAt(start), rowAt(end));
    return {
      positions: taken.flat(),
      rowOf: taken.flatMap((row, number) => row.map(() => number)),
    };
  };
}
