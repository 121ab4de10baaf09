// Optimizers and the schedules of their learning rates.

export { adafactor, type AdafactorOptions } from "./optimizers/adafactor.ts";
export { adagrad, type AdagradOptions } from "./optimizers/adagrad.ts";
export { adam, type AdamOptions } from "./optimizers/adam.ts";
export { adamW } from "./optimizers/adamw.ts";
export { lamb } from "./optimizers/lamb.ts";
export { lion, type LionOptions } from "./optimizers/lion.ts";
export { muon, type MuonOptions } from "./optimizers/muon.ts";
export type { Optimizer } from "./optimizers/optimizer.ts";
export type { DynamicLossScale, OptimizerOptions, PathPattern } from "./optimizers/options.ts";
export { rmsprop, type RmspropOptions } from "./optimizers/rmsprop.ts";
export { sgd, type SgdOptions } from "./optimizers/sgd.ts";
export { cosineDecay, type CosineDecayOptions, type PeakOptions } from "./optimizers/schedules/cosine-decay.ts";
export { cosineDecayRestarts, type CosineDecayRestartsOptions } from "./optimizers/schedules/cosine-decay-restarts.ts";
export { exponentialDecay, type ExponentialDecayOptions } from "./optimizers/schedules/exponential-decay.ts";
export { inverseTimeDecay } from "./optimizers/schedules/inverse-time-decay.ts";
export {
  piecewiseConstantDecay,
  type PiecewiseConstantDecayOptions,
} from "./optimizers/schedules/piecewise-constant-decay.ts";
export { polynomialDecay, type PolynomialDecayOptions } from "./optimizers/schedules/polynomial-decay.ts";
export type { Schedule } from "./optimizers/schedules/schedule.ts";
