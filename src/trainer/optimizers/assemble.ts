// From a rule to an optimizer: the learning rate and its schedule, clipping, weight decay, accumulation, averages of the
// parameters, loss scaling. What a step passes over stays as it is by `where`, since a graph has no branches.

import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { areFinite, clip } from "./gradients.ts";
import { isChosen, type OptimizerOptions } from "./options.ts";
import {
  named,
  zeroSlot,
  type Optimizer,
  type ParameterSpec,
  type ParameterStep,
  type ParameterUpdate,
  type Rule,
  type Scalar,
  type Slot,
} from "./optimizer.ts";
import type { Schedule } from "./schedules/schedule.ts";

const DEFAULT_SCALE = 32768; // 2^15, Keras' LossScaleOptimizer
const DEFAULT_GROWTH_STEPS = 2000;
const GROWTH = 2;

/** Slots that belong to no rule. */
const sharedSlots = { accumulated: "accumulatedGradient", average: "average" } as const;

type Syms = Readonly<Record<string, Sym>>;

/** What a step does with its gradients, as bool scalars; undefined where it always does. */
interface Decision {
  readonly isFinite: Sym | undefined;
  readonly isUpdate: Sym | undefined;
}

/**
 * Makes an optimizer of a rule and the options that all optimizers share.
 *
 * @param rule - slots and formula
 * @param options - checked already; `learningRate` has the rule's default where none is given
 */
export function assemble(
  rule: Rule,
  options: OptimizerOptions & { readonly learningRate: number | Schedule },
): Optimizer {
  const { learningRate } = options;
  const optimizer: Optimizer = {
    name: rule.name,
    scalars: { ...initialScalars(options), ...rule.scalars },
    settings: typeof learningRate === "number" ? ["learningRate"] : [],
    slots: (parameter) => allSlots(rule, options, parameter),
    scaleLoss: (loss, scalars) => {
      const scale = lossScale(options, scalars);
      return scale === undefined ? loss : ops.mul(loss, scale);
    },
    scaled: () => (options.lossScale === undefined ? assemble(rule, { ...options, lossScale: "dynamic" }) : optimizer),
    update(parameters, scalars) {
      const [first] = parameters;
      if (first === undefined) return { parameters: [], scalars: {} };
      const scale = lossScale(options, scalars);
      const raw = parameters.map(({ gradient }) => gradient);
      const gradients = scale === undefined ? raw : raw.map((gradient) => ops.div(gradient, scale));
      const decision = decide(options, [gradients[0] ?? first.gradient, ...gradients.slice(1)], scalars);
      const rate =
        typeof learningRate === "number" ? named(scalars, "learningRate") : learningRate.build(named(scalars, "steps"));
      const own = rule.advance?.(scalars) ?? {};
      const totals = accumulate(parameters, gradients, options);
      const updates = clip(totals.means, options).map((gradient, i): ParameterUpdate => {
        const step = parameters[i] ?? first;
        return updateOne(rule, options, { ...step, gradient }, { rate, scalars, own, decision, total: totals.sums[i] });
      });
      const kept = Object.entries(own).map(([name, value]) => {
        return [name, keepUnless(decision.isUpdate, value, named(scalars, name))] as const;
      });
      return {
        parameters: updates,
        scalars: { ...nextScalars(options, scalars, decision), ...Object.fromEntries(kept) },
      };
    },
  };
  return optimizer;
}

function initialScalars({
  learningRate = 0,
  lossScale,
  gradientAccumulationSteps = 1,
  useEma = false,
  emaOverwriteFrequency,
}: OptimizerOptions): Record<string, Scalar> {
  const rate = typeof learningRate === "number" ? learningRate : learningRate.initial;
  const dynamic = typeof lossScale === "object" ? lossScale : {};
  return {
    learningRate: { dtype: "float32", initial: rate },
    steps: { dtype: "int32", initial: 0 },
    ...(gradientAccumulationSteps > 1 && {
      accumulatedSteps: { dtype: "int32", initial: 0 },
      updates: { dtype: "int32", initial: 0 },
    }),
    ...(useEma && emaOverwriteFrequency !== undefined && { averagedUpdates: { dtype: "int32", initial: 0 } }),
    ...(isDynamic(lossScale) && {
      lossScale: { dtype: "float32", initial: dynamic.initialScale ?? DEFAULT_SCALE },
      finiteSteps: { dtype: "int32", initial: 0 },
    }),
  };
}

function allSlots(rule: Rule, options: OptimizerOptions, parameter: ParameterSpec): Record<string, Slot> {
  return {
    ...rule.slots(parameter),
    ...((options.gradientAccumulationSteps ?? 1) > 1 && { [sharedSlots.accumulated]: zeroSlot(parameter) }),
    ...(options.useEma === true && { [sharedSlots.average]: zeroSlot(parameter) }),
  };
}

function isDynamic(scale: OptimizerOptions["lossScale"]): boolean {
  return scale === "dynamic" || typeof scale === "object";
}

function lossScale({ lossScale: scale }: OptimizerOptions, scalars: Syms): number | Sym | undefined {
  return isDynamic(scale) ? named(scalars, "lossScale") : typeof scale === "number" ? scale : undefined;
}

function decide(options: OptimizerOptions, gradients: readonly [Sym, ...Sym[]], scalars: Syms): Decision {
  const { gradientAccumulationSteps: steps = 1 } = options;
  const isFinite = isDynamic(options.lossScale) ? areFinite(gradients) : undefined;
  const isLast = steps > 1 ? ops.equal(named(scalars, "accumulatedSteps"), steps - 1) : undefined;
  if (isFinite === undefined || isLast === undefined) return { isFinite, isUpdate: isFinite ?? isLast };
  const both = ops.mul(ops.cast(isFinite, "int32"), ops.cast(isLast, "int32"));
  return { isFinite, isUpdate: ops.equal(both, 1) };
}

/** The sums of the gradients since the last update, this step's among them, and their means; sums only where steps accumulate. */
function accumulate(
  parameters: readonly ParameterStep[],
  gradients: readonly Sym[],
  { gradientAccumulationSteps: steps = 1 }: OptimizerOptions,
): { readonly sums: readonly Sym[]; readonly means: readonly Sym[] } {
  if (steps === 1) return { sums: [], means: gradients };
  const sums = gradients.map((gradient, i) =>
    ops.add(gradient, named(parameters[i]?.slots ?? {}, sharedSlots.accumulated)),
  );
  return { sums, means: sums.map((sum) => ops.div(sum, steps)) };
}

function updateOne(
  rule: Rule,
  options: OptimizerOptions,
  step: ParameterStep,
  at: {
    readonly rate: Sym;
    readonly scalars: Syms;
    /** The rule's scalars at this update. */
    readonly own: Syms;
    readonly decision: Decision;
    readonly total: Sym | undefined;
  },
): ParameterUpdate {
  const { decision, rate, scalars, total } = at;
  const count = ops.cast(ops.add(updateCount(scalars), 1), "float32");
  const parameter = decayed(rule, options, step, rate);
  const updated = rule.update({ ...step, parameter, learningRate: rate, count, scalars: at.own });
  const averaged = average(options, { ...step, parameter: updated.parameter }, scalars);
  const slots: Record<string, Sym> = { ...updated.slots, ...averaged.slots };
  for (const [name, next] of Object.entries(slots)) {
    slots[name] = keepUnless(decision.isUpdate, next, named(step.slots, name));
  }
  if (total !== undefined && decision.isUpdate !== undefined) {
    const held = named(step.slots, sharedSlots.accumulated);
    slots[sharedSlots.accumulated] = keepUnless(decision.isFinite, ops.where(decision.isUpdate, 0, total), held);
  }
  return { parameter: keepUnless(decision.isUpdate, averaged.parameter, step.parameter), slots };
}

function updateCount(scalars: Syms): Sym {
  return scalars["updates"] ?? named(scalars, "steps");
}

function decayed(rule: Rule, options: OptimizerOptions, step: ParameterStep, rate: Sym): Sym {
  const decay = rule.weightDecay?.(step) ?? options.weightDecay ?? 0;
  if (decay === 0 || isChosen(step.path, options.excludeFromWeightDecay ?? [])) return step.parameter;
  return ops.sub(step.parameter, ops.mul(step.parameter, ops.mul(rate, decay)));
}

/** Moves the average toward the new parameter; the first update sets it, so that it does not start from zero. */
function average(
  { useEma = false, emaMomentum = 0.99, emaOverwriteFrequency }: OptimizerOptions,
  { parameter, slots }: ParameterStep,
  scalars: Syms,
): ParameterUpdate {
  if (!useEma) return { parameter, slots: {} };
  const held = named(slots, sharedSlots.average);
  const moved = ops.add(ops.mul(held, emaMomentum), ops.mul(parameter, 1 - emaMomentum));
  const next = ops.where(ops.equal(updateCount(scalars), 0), parameter, moved);
  if (emaOverwriteFrequency === undefined) return { parameter, slots: { [sharedSlots.average]: next } };
  const isDue = ops.equal(named(scalars, "averagedUpdates"), emaOverwriteFrequency - 1);
  return { parameter: ops.where(isDue, next, parameter), slots: { [sharedSlots.average]: next } };
}

function nextScalars(options: OptimizerOptions, scalars: Syms, decision: Decision): Record<string, Sym> {
  const { learningRate, gradientAccumulationSteps = 1, emaOverwriteFrequency } = options;
  const { isFinite, isUpdate } = decision;
  const next: Record<string, Sym> = { steps: ops.add(named(scalars, "steps"), 1) };
  if (gradientAccumulationSteps > 1) {
    next["accumulatedSteps"] = countedRound(named(scalars, "accumulatedSteps"), gradientAccumulationSteps);
    const counted = isUpdate === undefined ? 1 : ops.cast(isUpdate, "int32");
    next["updates"] = ops.add(named(scalars, "updates"), counted);
  }
  if (options.useEma === true && emaOverwriteFrequency !== undefined) {
    const held = named(scalars, "averagedUpdates");
    next["averagedUpdates"] = keepUnless(isUpdate, countedRound(held, emaOverwriteFrequency), held);
  }
  for (const [name, value] of Object.entries(next)) next[name] = keepUnless(isFinite, value, named(scalars, name));
  if (typeof learningRate === "object") next["learningRate"] = learningRate.build(named(next, "steps"));
  return isFinite === undefined ? next : { ...next, ...nextScale(options, scalars, isFinite) };
}

function nextScale({ lossScale: scale }: OptimizerOptions, scalars: Syms, isFinite: Sym): Record<string, Sym> {
  const growthSteps = (typeof scale === "object" ? scale.dynamicGrowthSteps : undefined) ?? DEFAULT_GROWTH_STEPS;
  const [held, finiteSteps] = [named(scalars, "lossScale"), countedRound(named(scalars, "finiteSteps"), growthSteps)];
  const grown = ops.where(ops.equal(finiteSteps, 0), ops.mul(held, GROWTH), held);
  return {
    finiteSteps: ops.where(isFinite, finiteSteps, 0),
    lossScale: ops.where(isFinite, grown, ops.div(held, GROWTH)),
  };
}

/** Counts one further, from 0 again when the round is full. */
function countedRound(count: Sym, round: number): Sym {
  const next = ops.add(count, 1);
  return ops.where(ops.equal(next, round), 0, next);
}

function keepUnless(condition: Sym | undefined, next: Sym, held: Sym): Sym {
  return condition === undefined || next === held ? next : ops.where(condition, next, held);
}
