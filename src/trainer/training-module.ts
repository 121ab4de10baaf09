// What `kdata train` expects of a user's module.

import type { Knobs } from "./backend.ts";
import type { Model } from "./layers.ts";
import type { BatchSource, TrainerOptions } from "./trainer.ts";

/** Batches to train on and, if wanted, to evaluate after each epoch. */
export interface TrainingData {
  readonly train: BatchSource;
  readonly validation?: BatchSource;
}

/** How to train: the trainer's options and the number of epochs. Flags of the command line come before them. */
export interface TrainingSettings extends TrainerOptions {
  readonly epochs?: number;
  readonly knobs?: Knobs;
}

/** The exports of a module for `kdata train`: a model, its data (or a function that opens it), and settings. */
export interface TrainingModule {
  readonly model: Model;
  readonly data: TrainingData | (() => TrainingData | Promise<TrainingData>);
  readonly settings: TrainingSettings;
}
