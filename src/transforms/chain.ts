// A chain of transforms in its parts: what is done to each sample, to the samples of a batch, and to their stack.

import { KdataError } from "../core/errors.ts";
import { deriveKey, RandomStream } from "../core/random.ts";
import type { Sample } from "../core/sample.ts";
import type { SamplesTransform, StackedFeatures } from "./batch-transform.ts";
import { buildLength } from "./bucket-by-length.ts";
import { buildCutmix } from "./cutmix.ts";
import { buildMixup } from "./mixup.ts";
import { buildPack, sequenceLength } from "./pack.ts";
import { buildPadBatch } from "./pad-batch.ts";
import {
  buildTransform,
  isRandom,
  stageOf,
  type BatchTransformDescription,
  type SampleTransformDescription,
  type TransformDescription,
} from "./registry.ts";

/** The parts of a chain, in the order in which they are applied. */
export interface Chain {
  readonly ofSamples: readonly SampleTransformDescription[];
  readonly ofBatches: readonly BatchTransformDescription[];
}

/** One thing that is done to batches, built. What it draws depends on (seed, epoch, position, its place in the chain) alone. */
export type BatchStep =
  | {
      readonly kind: "samples";
      readonly apply: SamplesTransform;
      /** Puts several samples into one row. Those that only repeat others must not be among them. */
      readonly joinsRows?: boolean;
    }
  | {
      readonly kind: "stack";
      readonly apply: (features: StackedFeatures, epoch: number, position: number) => void;
    };

/** By what lengths the loader chooses which samples make up a batch. */
export type LengthRule = {
  /** How many transforms of samples come before the length is taken. */
  readonly place: number;
  /** Over how many batches of all ranks samples are chosen. */
  readonly window: number;
  /** @throws {KdataError} `shape` when the sample has no length. */
  readonly lengthOf: (sample: Sample) => number;
  /** What decides on the lengths and the choice by them, the window aside. */
  readonly decidedBy: readonly TransformDescription[];
} & (
  | { readonly kind: "bucket"; readonly boundaries: readonly number[] | undefined }
  | { readonly kind: "pack"; readonly length: number }
);

/** What the stages of `stageOf` work on. */
const WORKS_ON = ["samples", "the samples of a batch", "a stacked batch"] as const;

/**
 * Takes a chain apart.
 *
 * @throws {KdataError} `usage` when a transform stands behind another that works on what comes later.
 */
export function splitChain(descriptions: readonly TransformDescription[]): Chain {
  const stages = descriptions.map(stageOf);
  for (const [place, stage] of stages.entries()) {
    const before = stages[place - 1] ?? 0;
    if (stage >= before) continue;
    const [own, other] = [descriptions[place]?.transform ?? "", descriptions[place - 1]?.transform ?? ""];
    throw new KdataError(
      "usage",
      `Cannot apply ${own} after ${other}: ${own} works on ${WORKS_ON[stage]}, ${other} on ${WORKS_ON[before]}`,
      { hint: `put ${own} before ${other}` },
    );
  }
  const first = stages.findIndex((stage) => stage > 0);
  const count = first < 0 ? stages.length : first;
  return {
    ofSamples: descriptions.slice(0, count) as readonly SampleTransformDescription[],
    ofBatches: descriptions.slice(count) as readonly BatchTransformDescription[],
  };
}

/**
 * Checks that a chain can be built.
 *
 * @throws {KdataError} as {@link splitChain} and the builders do.
 */
export function checkChain(descriptions: readonly TransformDescription[]): void {
  const chain = splitChain(descriptions);
  for (const description of chain.ofSamples) buildTransform(description);
  findLengthRule(chain);
  cachePlace(chain.ofSamples);
}

/**
 * Finds the place of the transform that keeps samples. `undefined` where there is none.
 *
 * @throws {KdataError} `usage` when there are two, or what is kept would have to change from epoch to epoch.
 */
export function cachePlace(ofSamples: readonly SampleTransformDescription[]): number | undefined {
  const place = ofSamples.findIndex(({ transform }) => transform === "cache");
  if (place < 0) return undefined;
  if (ofSamples.findLastIndex(({ transform }) => transform === "cache") > place) {
    throw new KdataError("usage", "Cannot cache twice: one cache keeps what comes last before the random transforms");
  }
  const drawing = ofSamples.slice(0, place).find(isRandom);
  if (!drawing) return place;
  throw new KdataError("usage", `Cannot cache after ${drawing.transform}: it gives another sample in each epoch`, {
    hint: `put cache before ${drawing.transform}`,
  });
}

/**
 * Finds by what lengths a chain has the loader choose samples. `undefined`: by none.
 *
 * @throws {KdataError} `usage` when two transforms would choose, or another one changes the samples before `pack` does.
 */
export function findLengthRule({ ofSamples, ofBatches }: Chain): LengthRule | undefined {
  const rules: LengthRule[] = [];
  for (const [place, description] of ofSamples.entries()) {
    if (description.transform !== "bucketByLength") continue;
    const { window, boundaries } = description;
    const decidedBy = [...ofSamples.slice(0, place), { ...description, window: 1 }];
    rules.push({ kind: "bucket", place, window, lengthOf: buildLength(description), boundaries, decidedBy });
  }
  for (const [place, description] of ofBatches.entries()) {
    if (description.transform !== "pack" || description.window === undefined) continue;
    if (place > 0) {
      const [own, other] = ["pack with a window", ofBatches[0]?.transform ?? ""];
      throw new KdataError("usage", `Cannot apply ${own} after ${other}: it takes the lengths of samples`);
    }
    const { window, length } = description;
    const decidedBy = [...ofSamples, { ...description, window: 1 }];
    rules.push({
      kind: "pack",
      place: ofSamples.length,
      window,
      length,
      lengthOf: (sample) => sequenceLength(sample, description),
      decidedBy,
    });
  }
  if (rules.length <= 1) return rules[0];
  throw new KdataError(
    "usage",
    "Cannot choose the samples of a batch twice: bucketByLength, and pack with a window, do so",
    {
      hint: "leave one of them",
    },
  );
}

/** Builds what is done to batches, in order. */
export function buildBatchSteps({ ofSamples, ofBatches }: Chain, seed: number): readonly BatchStep[] {
  return ofBatches.map((description, index): BatchStep => {
    if (description.transform === "pack") return { kind: "samples", apply: buildPack(description), joinsRows: true };
    if (description.transform === "padBatch") return { kind: "samples", apply: buildPadBatch(description) };
    const transform = description.transform === "mixup" ? buildMixup(description) : buildCutmix(description);
    const place = ofSamples.length + index;
    return {
      kind: "stack",
      apply(features, epoch, position) {
        transform(features, () => new RandomStream(deriveKey(seed, epoch, position, place)));
      },
    };
  });
}
