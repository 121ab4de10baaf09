// Memory of the trainer's own for what a step is fed, so that a batch can be given back before its step begins.

import type { HostTensor } from "./backend.ts";
import type { Plan } from "./plan.ts";
import { RandomFeeds } from "./random-feeds.ts";
import { sharedZeros } from "./shared-tensor.ts";

interface FeedSet {
  readonly tensors: Map<string, HostTensor>;
  readonly randoms: RandomFeeds;
}

/** The tensors of a program's feeds in shared memory. Two sets take turns: one is filled while a step reads the other. */
export class FeedBuffers {
  readonly #sets: readonly FeedSet[];
  #turn = 0;

  constructor(plan: Plan, seed: number) {
    this.#sets = [0, 1].map(() => ({ tensors: new Map(), randoms: new RandomFeeds(plan, seed) }));
  }

  /**
   * Copies feeds into the set whose turn it is, and draws the random numbers of a step.
   *
   * What is returned is valid until the call after the next one. Shapes and dtypes are those of every call.
   */
  fill(feeds: ReadonlyMap<string, HostTensor>, step: number): Map<string, HostTensor> {
    const { tensors, randoms } = this.#sets[this.#turn] as FeedSet;
    this.#turn = 1 - this.#turn;
    const filled = new Map<string, HostTensor>();
    for (const [name, { dtype, shape, data }] of feeds) {
      let own = tensors.get(name);
      if (own === undefined) {
        own = sharedZeros(dtype, shape);
        tensors.set(name, own);
      }
      own.data.set(data);
      filled.set(name, own);
    }
    randoms.addTo(filled, step);
    return filled;
  }
}
