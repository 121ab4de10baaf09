// The random numbers of a step: a function of the seed, the step's number and the feed's name, the same on every backend.

import { deriveKeyFromName, type RandomKey } from "../core/random.ts";
import { RandomFiller } from "../kernels/random.ts";
import type { HostTensor } from "./backend.ts";
import { sharedZeros } from "./shared-tensor.ts";
import type { Plan } from "./plan.ts";

/** The kernel has no state between calls, so one serves every trainer of a thread. */
let filler: RandomFiller | undefined;

/** Draws what a plan wants, into memory that is used again at the next step. */
export class RandomFeeds {
  readonly #feeds: readonly {
    readonly name: string;
    readonly key: RandomKey;
    readonly tensor: HostTensor;
    readonly probability: number | undefined;
    readonly isNormal: boolean;
  }[];

  constructor(plan: Plan, seed: number) {
    this.#feeds = Array.from(plan.randoms ?? [], ([name, { shape, distribution }]) => ({
      name,
      key: deriveKeyFromName(seed, name),
      tensor: sharedZeros(distribution.kind === "bernoulli" ? "bool" : "float32", shape),
      probability: distribution.kind === "bernoulli" ? distribution.probability : undefined,
      isNormal: distribution.kind === "normal",
    }));
  }

  /**
   * Adds the random numbers of a step to what a program is fed. They are valid until the next call.
   *
   * Rows that a smaller batch lacks are the last ones, so a sample draws the same whatever fills its batch.
   */
  addTo(feeds: Map<string, HostTensor>, step: number): void {
    for (const { name, key, tensor, probability, isNormal } of this.#feeds) {
      filler ??= new RandomFiller();
      const { data } = tensor;
      if (data instanceof Uint8Array) filler.bernoulli(data, probability ?? 0, { key, step });
      else if (data instanceof Float32Array) filler[isNormal ? "normal" : "uniform"](data, { key, step });
      feeds.set(name, tensor);
    }
  }
}
