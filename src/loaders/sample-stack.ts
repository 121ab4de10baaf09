// Samples that are changed together before they are stacked: filled up to the longest of them, or packed into fewer rows.

import { copySample, type Sample } from "../core/sample.ts";
import type { BatchStep } from "../transforms/chain.ts";
import type { BatchAccount } from "./account.ts";
import { startStack, viewColumns, type CollatedBatch } from "./collate.ts";
import type { Timing } from "./timings.ts";

/** A batch that is being stacked. */
export interface SampleStack<M extends ArrayBufferLike> {
  /** Takes the next sample, where that was decided beforehand for this row; its memory may be reused afterwards. */
  add(sample: Sample, row?: number): void;
  /** Hands out the batch, and its account with what became of the samples in it. */
  finish(account: BatchAccount): { readonly batch: CollatedBatch<M>; readonly account: BatchAccount };
}

type SamplesStep = Extract<BatchStep, { readonly kind: "samples" }>;

/** Changes a stacked batch by the steps that work on one. */
export function changeStack(
  steps: readonly BatchStep[],
  batch: CollatedBatch,
  { epoch, start }: { readonly epoch: number; readonly start: number },
  timing: Timing,
): void {
  if (batch.keys.length === 0) return;
  for (const step of steps) {
    if (step.kind !== "stack") continue;
    timing.ofBatch(() => {
      step.apply(viewColumns(batch), epoch, start);
    });
  }
}

/** Starts a stack of at most so many rows; where there are steps, it keeps copies of the samples until the last one is there. */
export function startSampleStack<M extends ArrayBufferLike>(
  rows: number,
  allocate: (byteLength: number) => M,
  steps: readonly SamplesStep[],
  timing: Timing,
): SampleStack<M> {
  const stack = startStack(rows, allocate);
  if (steps.length === 0) {
    return {
      add: (sample) => {
        stack.add(sample);
      },
      finish: (account) => ({ batch: stack.finish(), account }),
    };
  }
  const copies: Sample[] = [];
  const rowOf: number[] = [];
  return {
    add(sample, row) {
      copies.push(copySample(sample));
      if (row !== undefined) rowOf.push(row);
    },
    finish(account) {
      const isJoined = steps.some(({ joinsRows }) => joinsRows);
      const own = copies.length - account.padded;
      let samples: readonly Sample[] = isJoined && own > 0 ? copies.slice(0, own) : copies;
      const isDecided = rowOf.length === samples.length;
      for (const { apply, joinsRows } of steps) {
        samples = timing.ofBatch(() => apply(samples, joinsRows && isDecided ? rowOf : undefined));
      }
      for (const sample of samples) stack.add(sample);
      const batch = stack.finish();
      if (!isJoined) return { batch, account };
      if (own > 0) return { batch, account: { ...account, padded: 0, joined: own - samples.length } };
      return { batch, account: { ...account, padded: samples.length } };
    },
  };
}
