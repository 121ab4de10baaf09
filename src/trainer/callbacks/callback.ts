// What a training run tells whoever listens, with Keras' names for the moments (https://keras.io/api/callbacks/base_callback/).

import type { JsonValue } from "../../core/sample.ts";
import type { HostTensor } from "../backend.ts";
import type { CheckpointOptions } from "../checkpoint-options.ts";

/** Numbers of one training step. */
export interface StepLogs {
  readonly epoch: number;
  /** Counted from 0 within the epoch. */
  readonly step: number;
  /** Steps of the epoch where the data says so. */
  readonly steps: number | undefined;
  /** Samples that counted in this step. */
  readonly samples: number;
  /** The keys of these samples, in order. */
  readonly keys: readonly string[];
  /** The loss of this step: the mean over its samples. */
  readonly loss: number;
  /** Running means over the epoch so far, the loss under `loss`. */
  readonly running: Readonly<Record<string, number>>;
  /** Milliseconds the step took, waiting for data left out. */
  readonly stepMs: number;
  /** Milliseconds nothing was computed because the batch was not there. */
  readonly waitMs: number;
}

/** Numbers of one epoch. */
export interface EpochLogs {
  readonly epoch: number;
  readonly epochs: number;
  readonly steps: number;
  readonly samples: number;
  /** Means over the epoch: `loss`, each metric, and the same with the prefix `val_` when there was a validation. */
  readonly values: Readonly<Record<string, number>>;
  /** Wall time of the training part. */
  readonly seconds: number;
  /** Median milliseconds of a step, waiting for data left out. */
  readonly msPerStep: number;
  /** Milliseconds of the first step of the epoch, which compiles and warms up. */
  readonly firstStepMs: number;
  readonly samplesPerSecond: number;
  /** Share of the wall time spent waiting for data, 0 to 1. */
  readonly dataWait: number;
}

/** A run that goes on from a checkpoint. */
export interface ResumedRun {
  /** The checkpoint's folder. */
  readonly path: string;
  readonly epoch: number;
  /** Steps trained before, over all epochs. */
  readonly step: number;
  /** Newer checkpoints that are damaged, and what is wrong with each. */
  readonly damaged: readonly { readonly path: string; readonly reason: string }[];
}

/** What `fit` sets out to do. */
export interface RunInfo {
  /** The number of the epoch behind the last one. */
  readonly epochs: number;
  /** The number of the first epoch, above 0 where a trainer goes on. */
  readonly firstEpoch: number;
  readonly resumed?: ResumedRun;
}

/** Numbers of one batch of an evaluation or a prediction. */
export interface BatchLogs {
  /** Counted from 0. */
  readonly step: number;
  /** Samples that counted. */
  readonly samples: number;
}

/** What a callback may do with the trainer that it is called by. */
export interface CallbackTrainer {
  /** Epochs trained so far. */
  readonly epoch: number;
  /** Steps trained so far. */
  readonly step: number;
  /** Set to true: training ends with this batch or epoch, as if it had been the last one. */
  stopTraining: boolean;
  learningRate(): Promise<number>;
  setLearningRate(rate: number): Promise<void>;
  weights(): Promise<Map<string, HostTensor>>;
  setWeights(weights: ReadonlyMap<string, HostTensor>): Promise<void>;
  save(path: string, options?: { readonly weightsOnly?: boolean }): Promise<void>;
}

/** What a callback has to remember for a run that goes on from a checkpoint. */
export interface CallbackState {
  readonly values: JsonValue;
  readonly tensors?: ReadonlyMap<string, HostTensor>;
}

/** Functions that a run calls as it goes; a promise is awaited. */
export interface Callback {
  /** Wants the run to be backed up, and to go on from the backup. */
  readonly backup?: CheckpointOptions & { readonly deleteAtEnd: boolean };
  /** A number of the epochs that it reads, refused before the first step where there is none of that name. */
  readonly monitor?: { readonly name: string; readonly by: string };
  /** Called before all others, once a run. */
  setTrainer?(trainer: CallbackTrainer): void;
  onTrainBegin?(info: RunInfo): void | Promise<void>;
  onTrainEnd?(): void | Promise<void>;
  onEpochBegin?(
    epoch: number,
    info: { readonly epochs: number; readonly steps: number | undefined },
  ): void | Promise<void>;
  onEpochEnd?(logs: EpochLogs): void | Promise<void>;
  onTrainBatchBegin?(place: { readonly epoch: number; readonly step: number }): void | Promise<void>;
  onTrainBatchEnd?(logs: StepLogs): void | Promise<void>;
  onTestBegin?(): void | Promise<void>;
  onTestBatchBegin?(place: { readonly step: number }): void | Promise<void>;
  onTestBatchEnd?(logs: BatchLogs): void | Promise<void>;
  onTestEnd?(values: Readonly<Record<string, number>>): void | Promise<void>;
  onPredictBegin?(): void | Promise<void>;
  onPredictBatchBegin?(place: { readonly step: number }): void | Promise<void>;
  onPredictBatchEnd?(logs: BatchLogs): void | Promise<void>;
  onPredictEnd?(): void | Promise<void>;
  /** Says what a checkpoint is to keep of this callback. */
  state?(): CallbackState;
  /** Goes on from what `state` said. Called before `onTrainBegin`. */
  load?(state: CallbackState): void;
}
