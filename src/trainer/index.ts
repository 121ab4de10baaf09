// Public exports of kdata/trainer.

export type { Backend, BackendFactory, Explanation, HostTensor, Knobs, Program, Session } from "./backend.ts";
export type { ArrayData } from "./batch-source.ts";
export type { Callback, CallbackTrainer, EpochLogs, RunInfo, StepLogs } from "./callbacks/callback.ts";
export * as callbacks from "./callbacks.ts";
export { checkClaim, claim, type ClaimCheck, type ClaimOptions, type ClaimParity } from "./check-claim.ts";
export type { Claim, CompositeAttributes, CompositeSpec } from "./claims.ts";
export type { CheckpointInterval, CheckpointOptions } from "./checkpoint-options.ts";
export type {
  ParameterGradient,
  StepContext,
  StepDefinition,
  StepModel,
  StepOptimizer,
  StepState,
  StepStateOptions,
} from "./custom-step.ts";
export { gradient } from "./gradient.ts";
export { Graph, Sym, type CompositeCall } from "./graph.ts";
export * as initializers from "./initializers.ts";
export { Layer } from "./layers.ts";
export * as layers from "./layers.ts";
export * as losses from "./losses.ts";
export * as metrics from "./metrics.ts";
export * as ops from "./ops.ts";
export * as optimizers from "./optimizers.ts";
export { enableLora, type Lora, type LoraOptions } from "./lora.ts";
export type {
  Distribution,
  GraphDType,
  KernelModel,
  KernelNode,
  Op,
  OpKind,
  Plan,
  PlanComposite,
  PlanNode,
  RandomSpec,
} from "./plan.ts";
export { precisionNames, resolvePrecision, type Precision } from "./precision.ts";
export { progressBar, type ProgressStream } from "./progress.ts";
export { backendNames, openBackend, registerBackend, resolveBackendName } from "./registry.ts";
export { StepTrainer, type StepFitOptions, type StepTrainerOptions } from "./step-trainer.ts";
export {
  Trainer,
  type BatchSource,
  type DataSource,
  type EvaluateOptions,
  type FitOptions,
  type History,
  type TrainerOptions,
} from "./trainer.ts";
export type { KnobEffect } from "./knob-bench.ts";
export type { BackendTimes, BenchRecommendation, TrainerBenchOptions, TrainerBenchReport } from "./trainer-bench.ts";
export { formatTrainerBench } from "./trainer-bench-lines.ts";
export type { KnobSpec, KnobSpecs, KnobValue } from "./knob-specs.ts";
export type { TrainingData, TrainingModule, TrainingSettings } from "./training-module.ts";
