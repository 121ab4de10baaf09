// What each knob of a backend does to a model: each value takes turns with the default, so that what else the machine does meanwhile
// falls on both.

import type { Batch } from "../core/batch.ts";
import { abortedError } from "./batch-feed.ts";
import type { BatchSource } from "./batch-source.ts";
import {
  defaultOf,
  fitted,
  reasonOf,
  sourceOf,
  type BenchedTrainer,
  type BenchSubject,
  type BenchVariant,
} from "./bench-steps.ts";
import { hasClaims } from "./claims.ts";
import type { KnobSpec, KnobValue } from "./knob-specs.ts";
import { otherValues } from "./knobs.ts";
import { median } from "./median.ts";
import { precisionNames } from "./precision.ts";

/** A knob helps or hurts from this share of the time on, if most rounds say so. */
const NOTABLE = 0.03;
const MOST_ROUNDS = 0.8;
/** A round of short steps repeats them until it takes about so long: shorter ones say more of the machine than of the knob. */
const ROUND_MS = 100;
const MOST_REPEATS = 20;
/** What takes so many times as long once is not measured again. */
const HOPELESS = 4;

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
  /** Relative difference of the mean loss of the first epoch from the default's. */
  readonly lossDifference: number;
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
export class KnobBench {
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

  /** Measures every knob that the backend declares, and every precision; one after the other. */
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
    let other: BenchedTrainer | undefined;
    try {
      other = this.#subject.make(variant);
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
      await other?.close();
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
    if (this.#signal?.aborted) throw abortedError(this.#signal);
    const batches = Array.from({ length: this.#repeats }, () => this.#held).flat();
    if (of === "train") return (await fitted(trainer, sourceOf(batches), { signal: this.#signal })).msPerStep;
    const started = performance.now();
    await trainer.predict(sourceOf(batches));
    return (performance.now() - started) / batches.length;
  }
}

function verdictOf(ratios: readonly number[]): KnobEffect["verdict"] {
  const ratio = median(ratios);
  const agreeing = MOST_ROUNDS * ratios.length;
  if (ratio < 1 - NOTABLE && ratios.filter((one) => one < 1).length >= agreeing) return "faster";
  return ratio > 1 + NOTABLE && ratios.filter((one) => one > 1).length >= agreeing ? "slower" : "no difference";
}

/** The best value of each knob that makes a step faster. A precision is not one: it computes other numbers. */
export function bestKnobs(effects: readonly KnobEffect[]): Record<string, KnobValue> {
  const helpful = effects.filter(
    ({ knob, of, verdict }) => verdict === "faster" && of === "train" && knob !== "precision" && knob !== "together",
  );
  return Object.fromEntries(helpful.toSorted((a, b) => b.ratio - a.ratio).map(({ knob, value }) => [knob, value]));
}
