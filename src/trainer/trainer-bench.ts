// Real steps of a model on its own data, timed on each backend and with each of its knobs set otherwise: what is fastest here.

import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { checkOptionNames, checkWhole } from "../core/options.ts";
import type { BatchSource } from "./batch-source.ts";
import { defaultOf, fitted, reasonOf, sourceOf, type BenchSubject } from "./bench-steps.ts";
import { bestKnobs, KnobBench, type KnobEffect } from "./knob-bench.ts";
import type { KnobValue } from "./knob-specs.ts";
import { benchedBackends } from "./registry.ts";

const DEFAULT_STEPS = 10;
const DEFAULT_ROUNDS = 5;
/** How much {@link benchTrainers} measures. */
export interface TrainerBenchOptions {
  /** By name. Default: all that can train here. */
  readonly backends?: readonly string[];
  /** Measures each knob and each precision as well. Default false. */
  readonly knobs?: boolean;
  /** Steps of a round. Default 10. */
  readonly steps?: number;
  /** Rounds of each variant, taking turns with the default. Default 5. */
  readonly rounds?: number;
  readonly signal?: AbortSignal;
  /** Called before each part, with what it measures. */
  readonly onPart?: (label: string) => void;
}

/** What one backend took for steps on the data itself. */
export interface BackendTimes {
  readonly backend: string;
  /** Why it was not measured: what is missing. The numbers are 0 then. */
  readonly absent: string | undefined;
  readonly engine: string;
  readonly device: string;
  /** Of the first step, compiling included. */
  readonly firstStepMs: number;
  readonly msPerStep: number;
  readonly samplesPerSecond: number;
  /** Share of the time spent waiting for data, 0 to 1. */
  readonly dataWait: number;
  /** By how much the process' resident memory grew from before the backend was opened to after its steps. */
  readonly memoryBytes: number;
}

/** What to train with here. */
export interface BenchRecommendation {
  readonly backend: string;
  readonly knobs: Readonly<Record<string, KnobValue>>;
  /** How many times as fast as the backend's default; 1 where no knob helps. */
  readonly speedup: number;
}

/** What {@link benchTrainers} found. */
export interface TrainerBenchReport {
  readonly schema: "kdata.bench-train/1";
  readonly batchSize: number;
  readonly steps: number;
  readonly rounds: number;
  /** The fastest first, those that are absent last. */
  readonly backends: readonly BackendTimes[];
  readonly knobs: readonly KnobEffect[];
  /** `null` where no backend runs. */
  readonly recommendation: BenchRecommendation | null;
}

/**
 * Times steps of a model on each backend: first over the data itself, then, with `knobs`, each knob and precision in turn with the
 * default over batches in memory. Every variant has weights of its own.
 *
 * @throws {KdataError} `input` when there is no batch, `aborted` through `signal`, and what training throws.
 * @throws {RangeError} when a number is out of its range.
 */
export async function benchTrainers(
  subject: BenchSubject,
  options: TrainerBenchOptions = {},
): Promise<TrainerBenchReport> {
  checkOptionNames("Cannot bench", options, ["backends", "knobs", "steps", "rounds", "signal", "onPart"]);
  const { backends = benchedBackends(), steps = DEFAULT_STEPS, rounds = DEFAULT_ROUNDS, onPart, signal } = options;
  checkWhole("Cannot bench", "steps", steps, 1);
  checkWhole("Cannot bench", "rounds", rounds, 1);
  const held = await holdBatches(subject.data, steps);
  const times: BackendTimes[] = [];
  for (const backend of backends) {
    onPart?.(backend);
    times.push(await timeBackend(subject, backend, { held, steps, signal }));
  }
  times.sort((a, b) => Number(a.absent !== undefined) - Number(b.absent !== undefined) || a.msPerStep - b.msPerStep);
  const effects: KnobEffect[] = [];
  for (const { backend } of options.knobs === true ? times.filter(({ absent }) => absent === undefined) : []) {
    effects.push(...(await new KnobBench(subject, backend, { held, rounds, onPart, signal }).run()));
  }
  return {
    schema: "kdata.bench-train/1",
    batchSize: held[0]?.size ?? 0,
    steps,
    rounds,
    backends: times,
    knobs: effects,
    recommendation: recommend(times, effects),
  };
}

/** Copies batches, so that they can be trained on again and again without the data's own cost. */
async function holdBatches(data: BatchSource, count: number): Promise<Batch[]> {
  const held: Batch[] = [];
  for await (const batch of data) {
    const { size, padded, features, keys, epoch, step } = batch.copy();
    const kept: Batch = { size, padded, features, keys, epoch, step, release: () => undefined, copy: () => kept };
    held.push(kept);
    batch.release();
    if (held.length >= count) break;
  }
  if (held.length === 0) throw new KdataError("input", "Cannot bench: the data has no batch");
  return held;
}

async function timeBackend(
  subject: BenchSubject,
  backend: string,
  at: { readonly held: readonly Batch[]; readonly steps: number; readonly signal: AbortSignal | undefined },
): Promise<BackendTimes> {
  const before = process.memoryUsage().rss;
  const trainer = subject.make(defaultOf(subject, backend));
  try {
    const { engine, device } = await trainer.backend();
    const first = await fitted(trainer, sourceOf(at.held.slice(0, 1)), { signal: at.signal });
    // The first epoch starts the source and its workers; the second one goes on with it.
    const logs = await fitted(trainer, subject.data, { epochs: 2, stepsPerEpoch: at.steps, signal: at.signal });
    return {
      backend,
      absent: undefined,
      engine,
      device,
      firstStepMs: first.firstStepMs,
      msPerStep: logs.msPerStep,
      samplesPerSecond: logs.samplesPerSecond,
      dataWait: logs.dataWait,
      memoryBytes: Math.max(0, process.memoryUsage().rss - before),
    };
  } catch (error) {
    const numbers = { firstStepMs: 0, msPerStep: 0, samplesPerSecond: 0, dataWait: 0, memoryBytes: 0 };
    return { backend, absent: reasonOf(error), engine: "", device: "", ...numbers };
  } finally {
    await trainer.close();
  }
}

function recommend(times: readonly BackendTimes[], effects: readonly KnobEffect[]): BenchRecommendation | null {
  const [fastest] = times.filter(({ absent }) => absent === undefined);
  if (fastest === undefined) return null;
  const own = effects.filter(({ backend }) => backend === fastest.backend);
  const knobs = bestKnobs(own);
  const together = own.find(({ knob }) => knob === "together");
  const [single] = own.filter(({ knob, value }) => knobs[knob] === value).sort((a, b) => a.ratio - b.ratio);
  // Two that help alone may not help together: then the better one is taken.
  if (
    single !== undefined &&
    together !== undefined &&
    !(together.verdict === "faster" && together.ratio < single.ratio)
  ) {
    return { backend: fastest.backend, knobs: { [single.knob]: single.value }, speedup: 1 / single.ratio };
  }
  return { backend: fastest.backend, knobs, speedup: 1 / (together?.ratio ?? single?.ratio ?? 1) };
}
