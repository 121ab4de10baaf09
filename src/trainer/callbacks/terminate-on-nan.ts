// Ends a run whose loss is no number any more.

import type { Callback, CallbackTrainer } from "./callback.ts";

/** Says where a run was ended. */
export interface TerminateOnNaN extends Callback {
  /** The step whose loss was NaN or infinite, once there was one. */
  readonly stoppedAt: { readonly epoch: number; readonly step: number } | undefined;
}

/** Sets `trainer.stopTraining` at the first step whose loss is NaN or infinite. */
export function terminateOnNaN(): TerminateOnNaN {
  let trainer: CallbackTrainer | undefined;
  let stoppedAt: TerminateOnNaN["stoppedAt"];
  return {
    get stoppedAt() {
      return stoppedAt;
    },
    setTrainer(given) {
      trainer = given;
    },
    onTrainBegin() {
      stoppedAt = undefined;
    },
    onTrainBatchEnd({ epoch, step, loss }) {
      if (Number.isFinite(loss) || !trainer) return;
      stoppedAt = { epoch, step };
      trainer.stopTraining = true;
    },
  };
}
