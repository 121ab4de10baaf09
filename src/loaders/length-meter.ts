// Takes the lengths of samples by which a batch is chosen: reads a record and applies what stands before the transform that asks.

import { isSampleError } from "../core/errors.ts";
import { fileReads } from "../readers/read-meter.ts";
import { cachePlace, splitChain, type LengthRule } from "../transforms/chain.ts";
import { recordCount } from "./dataset.ts";
import { epochLength, pipelineOf, transformNames, type EpochRecipe } from "./epoch.ts";
import { LengthTaker } from "./length-table.ts";
import { WindowOrder, type Piece } from "./length-windows.ts";
import type { SampleStore } from "../transforms/transform.ts";
import type { Order } from "./order.ts";
import { findOrRead, type RecordReader } from "./record-reader.ts";
import type { BatchTimings } from "./timings.ts";
import type { Span } from "./topology.ts";

/** Which samples make up a batch. */
export interface BatchRows extends Piece {
  /** So many of them, at the end, only repeat others. */
  readonly padded: number;
}

/** What a meter works with. */
interface MeterParts {
  readonly recipe: EpochRecipe;
  readonly rule: LengthRule;
  readonly reader: RecordReader;
  readonly store: SampleStore | undefined;
  readonly onRecord: (record: number) => void;
  readonly orderOf: (epoch: number) => Order;
}

/** The samples of a batch, and what adds the cost of choosing them to where the time of the batch went. */
interface Choice {
  readonly rows: BatchRows;
  readonly cost: (timings: BatchTimings) => BatchTimings;
}

/** Chooses the samples of batches by length. */
export class LengthMeter {
  readonly #order: WindowOrder;
  readonly #rule: LengthRule;
  /** Where the transform that asks is in the timings of a batch. */
  readonly #place: number;

  private constructor(order: WindowOrder, rule: LengthRule, place: number) {
    this.#order = order;
    this.#rule = rule;
    this.#place = place;
  }

  /** Makes the meter of a recipe that has windows. @throws {RangeError} when it has none. */
  static create({ recipe, rule, reader, store, onRecord, orderOf }: MeterParts): LengthMeter {
    const { windows, seed, shuffle, transforms } = recipe;
    if (!windows) throw new RangeError("Cannot choose samples by length: the recipe has no windows");
    const before = splitChain(transforms).ofSamples.slice(0, rule.place);
    const kept = cachePlace(before) === undefined ? undefined : store;
    const pipeline = pipelineOf({ ...recipe, transforms: before }, kept);
    const records = recordCount(recipe.dataset);
    function measure(position: number, epoch: number): number | undefined {
      const visit = orderOf(epoch)(position);
      const record = visit % records;
      onRecord(record);
      try {
        const read = findOrRead(kept, reader, record);
        const sample = read && pipeline(read, epoch, visit);
        return sample && rule.lengthOf(sample);
      } catch (error) {
        if (!isSampleError(error)) throw error;
        return undefined; // the batch that it falls into says what is wrong
      }
    }
    const order = new WindowOrder({
      windows,
      rule,
      positions: epochLength(recipe),
      seed,
      isShuffled: shuffle !== false,
      taker: new LengthTaker(windows.table, measure),
    });
    return new LengthMeter(order, rule, transformNames(recipe).length - transforms.length + rule.place);
  }

  /**
   * Chooses the samples of a batch.
   *
   * @throws {KdataError} what is found that lies in no sample.
   */
  choose({ epoch, start, size, padded }: Span & { readonly epoch: number }): Choice {
    const files = fileReads();
    const began = performance.now();
    const rows = this.#choose(epoch, start, size, padded);
    const [ms, bytes] = [performance.now() - began, fileReads().bytes - files.bytes];
    return {
      rows,
      cost: ({ transformsMs, bytesRead, ...others }) => ({
        ...others,
        transformsMs: transformsMs.map((own, place) => (place === this.#place ? own + ms : own)),
        bytesRead: bytesRead + bytes,
      }),
    };
  }

  #choose(epoch: number, start: number, size: number, padded: number): BatchRows {
    if (this.#rule.kind === "bucket") return { ...this.#order.piece(epoch, start, start + size), padded };
    // Samples that only repeat others are packed only where a batch has none of its own.
    if (size > padded) return { ...this.#order.piece(epoch, start, start + size - padded), padded: 0 };
    const rows = this.#order.piece(epoch, start, start + size);
    return { ...rows, padded: rows.positions.length };
  }
}
