// Real steps of a model on its own data, timed on each backend and with each of its knobs set otherwise: what is fastest here.
// A variant takes turns with the default, so that what else the machine does meanwhile falls on both.

import type { Batch } from "../core/batch.ts";
import { KdataError } from "../core/errors.ts";
import { checkOptionNames, checkWhole } from "../core/options.ts";
import type { Backend, Explanation, Knobs } from "./backend.ts";
import type { BatchSource } from "./batch-source.ts";
import type { EpochLogs } from "./callbacks/callback.ts";
import { hasClaims } from "./claims.ts";
import type { KnobSpec, KnobValue } from "./knob-specs.ts";
import { otherValues } from "./knobs.ts";
import { precisionNames, type Precision } from "./precision.ts";
import { benchedBackends } from "./registry.ts";

const DEFAULT_STEPS = 10;
const DEFAULT_ROUNDS = 5;
/** A knob helps or hurts from this share of the time on, if most rounds say so. */
const NOTABLE = 0.03;
const MOST_ROUNDS = 0.8;
/** A round of short steps repeats them until it takes about so long: shorter ones say more of the machine than of the knob. */
const ROUND_MS = 100;
const MOST_REPEATS = 20;
/** What takes so many times as long once is not measured again. */
const HOPELESS = 4;

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

/** What a knob did, measured in turn with the default. */
export interface KnobEffect {
  readonly backend: string;
  /** A knob's name, `precision`, or `together` for all that helped. */
  readonly knob: string;
  readonly value: KnobValue;
  readonly default: KnobValue;
  /** What was timed. */
  readonly of: "train" | "predict";
  /** Why it was not measured. The numbers are 0 then. */
  readonly absent: string | undefined;
  readonly msPerStep: number;
  readonly defaultMsPerStep: number;
  /** Median over the rounds of time by the default's time: below 1 it is faster. */
  readonly ratio: number;
  readonly verdict: "faster" | "slower" | "no difference" | "not here";
  /** Relative difference of the first step's loss from the default's. */
  readonly lossDifference: number;
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

/** What a variant changes. */
export interface BenchVariant {
  readonly backend: string;
  readonly knobs?: Knobs | undefined;
  readonly precision?: Precision;
}

/** The part of a trainer that is measured. */
export interface BenchedTrainer {
  backend(): Promise<Backend>;
  fit(data: BatchSource, options: object): Promise<unknown>;
  predict(data: BatchSource): Promise<unknown>;
  explain(): Explanation;
  close(): Promise<void>;
}

/** What is measured: a source of batches, and a trainer of the same model for each variant. */
export interface BenchSubject {
  readonly data: BatchSource;
  readonly knobs: Knobs;
  /** The backend that the knobs are meant for. */
  readonly backend: string;
  readonly precision: Precision;
  make(variant: BenchVariant): BenchedTrainer;
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

/** Knobs that are set count for the backend that they are meant for; another one has its defaults. */
function defaultOf({ backend: chosen, knobs, precision }: BenchSubject, backend: string): BenchVariant {
  return { backend, knobs: backend === chosen ? knobs : {}, precision };
}

/** Why something cannot run here. Every other error is not for a table. */
function reasonOf(error: unknown): string {
  if (error instanceof KdataError && error.code === "package") return error.message;
  throw error;
}

async function fitted(trainer: BenchedTrainer, data: BatchSource, options: object): Promise<EpochLogs> {
  let logs: EpochLogs | undefined;
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  const callbacks = [{ onEpochEnd: (epoch: EpochLogs) => void (logs = epoch) }];
  await trainer.fit(data, { ...Object.fromEntries(given), callbacks });
  if (logs === undefined) throw new KdataError("input", "Cannot bench: the data has no batch");
  return logs;
}

function sourceOf(batches: readonly Batch[]): BatchSource {
  return {
    stepsPerEpoch: batches.length,
    async *[Symbol.asyncIterator]() {
      await Promise.resolve();
      yield* batches;
    },
  };
}

/** One setting to try. */
interface Trial extends Pick<KnobEffect, "knob" | "value" | "default" | "of"> {
  readonly variant: BenchVariant;
}

/** Milliseconds of a step in one round. */
interface Round {
  readonly own: number;
  readonly base: number;
}

/** The knobs of one backend, each in turn with the default. */
class KnobBench {
  readonly #subject: BenchSubject;
  readonly #backend: string;
  readonly #base: BenchVariant;
  readonly #held: readonly Batch[];
  readonly #rounds: number;
  readonly #onPart: ((label: string) => void) | undefined;
  readonly #signal: AbortSignal | undefined;
  #repeats = 1;

  constructor(
    subject: BenchSubject,
    backend: string,
    at: {
      readonly held: readonly Batch[];
      readonly rounds: number;
      readonly onPart: ((label: string) => void) | undefined;
      readonly signal: AbortSignal | undefined;
    },
  ) {
    this.#subject = subject;
    this.#backend = backend;
    this.#base = defaultOf(subject, backend);
    this.#held = at.held;
    this.#rounds = at.rounds;
    this.#onPart = at.onPart;
    this.#signal = at.signal;
  }

  async run(): Promise<KnobEffect[]> {
    const base = this.#subject.make(this.#base);
    try {
      const { knobs: specs = {} } = await base.backend();
      const { loss } = (await fitted(base, this.#source(), { signal: this.#signal })).values;
      const { msPerStep } = await fitted(base, this.#source(), { signal: this.#signal });
      const effects: KnobEffect[] = [];
      const repeats = Math.ceil(ROUND_MS / (msPerStep * this.#held.length));
      this.#repeats = Math.min(MOST_REPEATS, Math.max(1, repeats));
      for (const trial of this.#trials(specs)) effects.push(await this.#measure(base, trial, loss ?? NaN));
      const best = bestKnobs(effects);
      if (Object.keys(best).length > 1) {
        const knobs = { ...this.#base.knobs, ...best };
        const value = Object.entries(best).map(([name, setting]) => `${name}=${setting}`);
        const variant = { ...this.#base, knobs };
        const all = { knob: "together", value: value.join(" "), default: "", of: "train", variant } as const;
        effects.push(await this.#measure(base, all, loss ?? NaN));
      }
      return effects;
    } finally {
      await base.close();
    }
  }

  #trials(specs: Readonly<Record<string, KnobSpec>>): Trial[] {
    const knobs = Object.entries(specs).flatMap(([knob, spec]) => {
      if (spec.isOfClaims === true && !hasClaims()) return [];
      const present = this.#base.knobs?.[knob] ?? spec.default;
      const values = [...otherValues(spec), spec.default].filter((value) => value !== present);
      return values.map((value): Trial => {
        const variant = { ...this.#base, knobs: { ...this.#base.knobs, [knob]: value } };
        return { knob, value, default: present, of: spec.measuredBy ?? "train", variant };
      });
    });
    const { precision: present = "float32" } = this.#base;
    const precisions = precisionNames.filter((precision) => precision !== present);
    return [
      ...knobs,
      ...precisions.map((precision): Trial => {
        const variant = { ...this.#base, precision };
        return { knob: "precision", value: precision, default: present, of: "train", variant };
      }),
    ];
  }

  async #measure(base: BenchedTrainer, { variant, ...trial }: Trial, loss: number): Promise<KnobEffect> {
    this.#onPart?.(`${this.#backend} ${trial.knob}=${trial.value}`);
    const about = { backend: this.#backend, ...trial };
    const other = this.#subject.make(variant);
    try {
      const first = (await fitted(other, this.#source(), { signal: this.#signal })).values["loss"] ?? NaN;
      const warm = { base: await this.#time(base, trial.of), own: await this.#time(other, trial.of) };
      const isHopeless = trial.of === "train" && warm.own > HOPELESS * warm.base;
      const rounds = isHopeless ? [warm] : await this.#takeTurns(base, other, trial.of);
      const ratios = rounds.map(({ own, base: default_ }) => own / default_);
      return {
        ...about,
        absent: undefined,
        msPerStep: median(rounds.map(({ own }) => own)),
        defaultMsPerStep: median(rounds.map(({ base: default_ }) => default_)),
        ratio: median(ratios),
        verdict: verdictOf(ratios),
        lossDifference: Math.abs(first - loss) / Math.max(Math.abs(loss), Number.MIN_VALUE),
      };
    } catch (error) {
      const numbers = { msPerStep: 0, defaultMsPerStep: 0, ratio: 0, lossDifference: 0 };
      return { ...about, absent: reasonOf(error), ...numbers, verdict: "not here" };
    } finally {
      await other.close();
    }
  }

  async #takeTurns(base: BenchedTrainer, other: BenchedTrainer, of: Trial["of"]): Promise<Round[]> {
    const rounds: Round[] = [];
    for (let round = 0; round < this.#rounds; round++) {
      // Who is first changes, in case the second one finds the caches warm.
      const order = round % 2 === 0 ? [base, other] : [other, base];
      const times = new Map<BenchedTrainer, number>();
      for (const one of order) times.set(one, await this.#time(one, of));
      rounds.push({ own: times.get(other) ?? NaN, base: times.get(base) ?? NaN });
    }
    return rounds;
  }

  #source(): BatchSource {
    return sourceOf(this.#held);
  }

  /** Milliseconds of a step, or of predicting a batch. */
  async #time(trainer: BenchedTrainer, of: Trial["of"]): Promise<number> {
    if (this.#signal?.aborted) throw new KdataError("aborted", "Measuring stopped on request");
    const batches = Array.from({ length: this.#repeats }, () => this.#held).flat();
    if (of === "train") return (await fitted(trainer, sourceOf(batches), { signal: this.#signal })).msPerStep;
    const started = performance.now();
    await trainer.predict(sourceOf(batches));
    return (performance.now() - started) / batches.length;
  }
}

function verdictOf(ratios: readonly number[]): KnobEffect["verdict"] {
  const ratio = median(ratios);
  function isAgreed(test: (one: number) => boolean): boolean {
    return ratios.filter(test).length >= MOST_ROUNDS * ratios.length;
  }
  if (ratio < 1 - NOTABLE && isAgreed((one) => one < 1)) return "faster";
  return ratio > 1 + NOTABLE && isAgreed((one) => one > 1) ? "slower" : "no difference";
}

/** The best value of each knob that makes a step faster. A precision is not one: it computes other numbers. */
function bestKnobs(effects: readonly KnobEffect[]): Record<string, KnobValue> {
  const helpful = effects.filter(
    ({ knob, of, verdict }) => verdict === "faster" && of === "train" && knob !== "precision" && knob !== "together",
  );
  return Object.fromEntries(helpful.toSorted((a, b) => b.ratio - a.ratio).map(({ knob, value }) => [knob, value]));
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

function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1] ?? NaN;
}
