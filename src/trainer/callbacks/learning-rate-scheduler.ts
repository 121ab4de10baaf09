// Sets the learning rate at the start of each epoch.

import type { Callback, CallbackTrainer } from "./callback.ts";

/**
 * Sets the learning rate of each epoch to what a function makes of the epoch's number, from 0 on, and the rate before.
 *
 * A schedule of the optimizer, which moves with every step, excludes it: `setLearningRate` throws then.
 */
export function learningRateScheduler(schedule: (epoch: number, rate: number) => number): Callback {
  let trainer: CallbackTrainer | undefined;
  return {
    setTrainer(given) {
      trainer = given;
    },
    async onEpochBegin(epoch) {
      await trainer?.setLearningRate(schedule(epoch, await trainer.learningRate()));
    },
  };
}
