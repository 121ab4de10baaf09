// Public exports of kdata/trainer.

export type { Backend, BackendFactory, Explanation, HostTensor, Knobs, Program, Session } from "./backend.ts";
export type { Callback, EpochLogs, StepLogs } from "./callbacks.ts";
export { gradient } from "./gradient.ts";
export { Graph, Sym } from "./graph.ts";
export * as initializers from "./initializers.ts";
export { Layer } from "./layers.ts";
export * as layers from "./layers.ts";
export * as losses from "./losses.ts";
export * as metrics from "./metrics.ts";
export * as ops from "./ops.ts";
export * as optimizers from "./optimizers.ts";
export type { Distribution, GraphDType, Op, OpKind, Plan, PlanNode, RandomSpec } from "./plan.ts";
export { enableLora, type Lora, type LoraOptions } from "./lora.ts";
export { progressBar, type ProgressStream } from "./progress.ts";
export { backendNames, openBackend, resolveBackendName } from "./registry.ts";
export { Trainer, type BatchSource, type FitOptions, type History, type TrainerOptions } from "./trainer.ts";
export type { TrainingData, TrainingModule, TrainingSettings } from "./training-module.ts";
