// One batch of a stream from the samples of its global batch: transform, stack.

import { isSampleError } from "../core/errors.ts";
import type { Sample } from "../core/sample.ts";
import { buildBatchSteps, splitChain, type BatchStep } from "../transforms/chain.ts";
import { buildTransform, type TransformDescription } from "../transforms/registry.ts";
import { chainTransforms, type Pipeline } from "../transforms/transform.ts";
import { startAccount, type OpenAccount } from "./account.ts";
import type { BatchJob, CollatedJob } from "./batch-maker.ts";
import { packError } from "../core/packed-error.ts";
import { changeStack, startSampleStack } from "./sample-stack.ts";
import { createSlot } from "./slots.ts";
import { startTiming } from "./timings.ts";

/** A sample and how many came before it in its epoch, which is what transforms draw by. */
export interface Numbered {
  readonly sample: Sample;
  readonly record: number;
}

/** The samples of one global batch, of which each rank takes a part. */
export interface GlobalBatch {
  readonly start: number;
  readonly rows: readonly Numbered[];
  /** All samples of the epoch once they are known: with the last batch. `Infinity` before. */
  readonly records: number;
}

/** What a batch maker of a stream works by. */
export interface StreamRecipe {
  readonly transforms: readonly TransformDescription[];
  readonly seed: number;
  /** Samples that cannot be transformed are left out and told of; otherwise the first one is the error of its batch. */
  readonly skipsBad: boolean;
  /** A batch all of whose samples are left out gets one padded sample, because other ranks make the same step. */
  readonly fillsEmpty: boolean;
}

/** Makes the batches of a stream, always in the same memory. */
export class StreamBatchMaker {
  readonly #recipe: StreamRecipe;
  readonly #pipeline: Pipeline;
  /** How many transforms there are for each sample, and what is done to batches. */
  readonly #sampleTransforms: number;
  readonly #steps: readonly BatchStep[];
  readonly #allocate = createSlot((byteLength) => new ArrayBuffer(byteLength));

  /**
   * Builds the transforms.
   *
   * @throws {KdataError} `usage` when there is no such transform.
   */
  constructor(recipe: StreamRecipe) {
    this.#recipe = recipe;
    const chain = splitChain(recipe.transforms);
    this.#pipeline = chainTransforms(chain.ofSamples.map(buildTransform), recipe.seed);
    this.#sampleTransforms = chain.ofSamples.length;
    this.#steps = buildBatchSteps(chain, recipe.seed);
  }

  /**
   * Makes a batch of the samples that are neither bad nor filtered out, in the order of their positions. `head` has the samples at the
   * start of the epoch that may pad it. A batch that must not be empty is so only where it is on every rank: where no sample of the
   * global batch nor of the head is good.
   *
   * @throws {KdataError} what a transform finds, with the position, where bad samples are not left out; `shape` when samples disagree.
   */
  make(job: BatchJob, global: GlobalBatch, head: readonly Numbered[]): CollatedJob {
    const { epoch, start, size, padded } = job;
    const timing = startTiming(this.#sampleTransforms);
    const steps = this.#steps.filter((step) => step.kind === "samples");
    const stack = startSampleStack(size, this.#allocate, steps, timing);
    const account = startAccount();
    for (let row = 0; row < size; row++) {
      const position = start + row;
      const numbered = (global.rows[position - global.start] ?? head[position % global.records]) as Numbered;
      timing.beginSample(row);
      account.begin(row >= size - padded);
      const sample = this.#take(numbered, position, epoch, account, timing.times);
      if (sample) stack.add(sample);
      timing.endSample(row);
    }
    if (account.rows() === 0 && this.#recipe.fillsEmpty) {
      const sample = this.#nearest(job, global, head, account);
      if (sample) stack.add(sample);
    }
    const { batch, account: done } = stack.finish(account.finish());
    changeStack(this.#steps, batch, job, timing);
    return { ...batch, account: done, timings: timing.ofSamples() };
  }

  /** Transforms one sample. `undefined` where it is left out. */
  #take(
    { sample, record }: Numbered,
    position: number,
    epoch: number,
    account: OpenAccount,
    times: Float64Array | undefined,
  ): Sample | undefined {
    try {
      const transformed = this.#pipeline(sample, epoch, record, times?.subarray(1));
      account.took(transformed !== undefined);
      return transformed;
    } catch (error) {
      if (!this.#recipe.skipsBad || !isSampleError(error)) throw error;
      account.failed({ position, record, key: sample.key, error: packError(error) });
      return undefined;
    }
  }

  /** Finds the sample for a batch that would be empty: the next good one of the global batch, over its end to its start, or of the head. */
  #nearest(
    { epoch, start, size }: BatchJob,
    global: GlobalBatch,
    head: readonly Numbered[],
    account: OpenAccount,
  ): Sample | undefined {
    const end = start + size - global.start;
    for (const numbered of [...global.rows.slice(end), ...global.rows.slice(0, end), ...head]) {
      account.begin(true);
      const sample = this.#take(numbered, start, epoch, account, undefined);
      if (sample) return sample;
    }
    return undefined;
  }
}
