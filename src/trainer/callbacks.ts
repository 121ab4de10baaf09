// What a training run tells whoever listens, with Keras' names for the moments.

/** Numbers of one training step. */
export interface StepLogs {
  readonly epoch: number;
  /** Counted from 0 within the epoch. */
  readonly step: number;
  /** Steps of the epoch where the data says so. */
  readonly steps: number | undefined;
  /** Samples that counted in this step. */
  readonly samples: number;
  /** The loss of this step: the mean over its samples. */
  readonly loss: number;
  /** Running means over the epoch so far, the loss under `loss`. */
  readonly running: Readonly<Record<string, number>>;
  /** Milliseconds the step took, waiting for data left out. */
  readonly stepMs: number;
  /** Milliseconds the step waited for its batch. */
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

/** Functions that a run calls as it goes; a promise is awaited. */
export interface Callback {
  onTrainBegin?(info: { readonly epochs: number }): void | Promise<void>;
  onEpochBegin?(
    epoch: number,
    info: { readonly epochs: number; readonly steps: number | undefined },
  ): void | Promise<void>;
  onTrainBatchEnd?(logs: StepLogs): void | Promise<void>;
  onEpochEnd?(logs: EpochLogs): void | Promise<void>;
  onTrainEnd?(): void | Promise<void>;
}
