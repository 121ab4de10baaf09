// The options that all optimizers share, and how options are checked.

import { checkOptionNames } from "../../core/options.ts";
import type { Schedule } from "./schedules/schedule.ts";

/** Chooses parameters by their paths: a string that the path contains, or a regular expression. */
export type PathPattern = string | RegExp;

/** How a dynamic loss scale moves. */
export interface DynamicLossScale {
  /** Default 32768. */
  readonly initialScale?: number;
  /** After so many steps in a row with finite gradients the scale doubles. Default 2000. */
  readonly dynamicGrowthSteps?: number;
}

/** What every optimizer takes. */
export interface OptimizerOptions {
  /** A number, which a trainer can read and set between steps, or a schedule. */
  readonly learningRate?: number | Schedule;
  /** Before each update a parameter loses this share of itself, times the learning rate. Default none. */
  readonly weightDecay?: number;
  /** Parameters that do not decay. Default none. */
  readonly excludeFromWeightDecay?: readonly PathPattern[];
  /** The greatest Euclidean norm of each parameter's gradient. Only one way of clipping may be given. */
  readonly clipNorm?: number;
  /** The greatest magnitude of each element of a gradient. */
  readonly clipValue?: number;
  /** The greatest Euclidean norm of all gradients together. */
  readonly globalClipNorm?: number;
  /** Keeps a moving average of each parameter beside it. Default false. */
  readonly useEma?: boolean;
  /** The part of the average that stays at an update, in [0, 1]. Default 0.99. */
  readonly emaMomentum?: number;
  /** Every so many updates the average replaces the parameter. Default never. */
  readonly emaOverwriteFrequency?: number;
  /**
   * The loss is multiplied by this before it is differentiated, and the gradients divided by it. `"dynamic"` (or its settings)
   * passes over steps whose gradients are not finite, halves the scale then, and doubles it after many good steps. The
   * precision `mixed_float16` makes it dynamic by itself; elsewhere it changes little. Default none.
   */
  readonly lossScale?: number | "dynamic" | DynamicLossScale;
  /** Updates with the mean gradient of so many steps, once in so many steps. Default 1. */
  readonly gradientAccumulationSteps?: number;
}

const sharedNames: Readonly<Record<keyof OptimizerOptions, true>> = {
  learningRate: true,
  weightDecay: true,
  excludeFromWeightDecay: true,
  clipNorm: true,
  clipValue: true,
  globalClipNorm: true,
  useEma: true,
  emaMomentum: true,
  emaOverwriteFrequency: true,
  lossScale: true,
  gradientAccumulationSteps: true,
};

/**
 * Checks the names of an optimizer's options, and the shared ones of them for their ranges.
 *
 * @param optimizer - its name, for messages
 * @param options - what was given
 * @param own - names that this optimizer has besides the shared ones
 * @throws {KdataError} `usage` for an unknown name, with the nearest one.
 * @throws {RangeError} when a setting is out of its range, or two ways of clipping are given.
 */
export function checkOptimizerOptions(optimizer: string, options: OptimizerOptions, own: readonly string[]): void {
  checkOptionNames(`Cannot make ${optimizer}`, options, [...Object.keys(sharedNames), ...own]);
  const { learningRate, lossScale } = options;
  if (typeof learningRate === "number") checkSetting(optimizer, "learningRate", learningRate, learningRate >= 0);
  const { weightDecay = 0, emaMomentum = 0, emaOverwriteFrequency = 1, gradientAccumulationSteps = 1 } = options;
  checkSetting(optimizer, "weightDecay", weightDecay, weightDecay >= 0);
  checkSetting(optimizer, "emaMomentum", emaMomentum, emaMomentum >= 0 && emaMomentum <= 1);
  checkCount(optimizer, "emaOverwriteFrequency", emaOverwriteFrequency);
  checkCount(optimizer, "gradientAccumulationSteps", gradientAccumulationSteps);
  const bounds = ["clipNorm", "clipValue", "globalClipNorm"] as const;
  for (const name of bounds) checkSetting(optimizer, name, options[name] ?? 1, (options[name] ?? 1) > 0);
  const given = bounds.filter((name) => options[name] !== undefined);
  if (given.length > 1) throw new RangeError(`Cannot make ${optimizer}: ${given.join(" and ")} exclude each other`);
  if (typeof lossScale === "number") checkSetting(optimizer, "lossScale", lossScale, lossScale > 0);
  if (typeof lossScale === "object") {
    checkOptionNames(`Cannot make ${optimizer}: lossScale`, lossScale, ["initialScale", "dynamicGrowthSteps"]);
    checkSetting(optimizer, "initialScale", lossScale.initialScale ?? 1, (lossScale.initialScale ?? 1) > 0);
    checkCount(optimizer, "dynamicGrowthSteps", lossScale.dynamicGrowthSteps ?? 1);
  }
}

/**
 * Refuses a setting that is not a finite number in its range.
 *
 * @throws {RangeError} with the setting and its value.
 */
export function checkSetting(owner: string, name: string, value: number, inRange: boolean): void {
  if (!inRange || !Number.isFinite(value)) throw new RangeError(`Cannot make ${owner}: ${name} is ${value}`);
}

/**
 * Refuses a setting that is not a whole number from 1 on.
 *
 * @throws {RangeError} with the setting and its value.
 */
export function checkCount(owner: string, name: string, value: number): void {
  checkSetting(owner, name, value, Number.isSafeInteger(value) && value >= 1);
}

/** Says whether one of the patterns chooses a path. */
export function isChosen(path: string, patterns: readonly PathPattern[]): boolean {
  return patterns.some((pattern) => (typeof pattern === "string" ? path.includes(pattern) : path.search(pattern) >= 0));
}
