// What a backend says of its settings.

/** One setting of a backend: what it may be, and what it is where nothing is said. */
export type KnobSpec = {
  /** What it changes, in a few words. */
  readonly about: string;
  /** What shows its effect: a training step, the default, or a prediction. */
  readonly measuredBy?: "train" | "predict";
  /** It changes nothing unless a kernel is claimed. */
  readonly isOfClaims?: boolean;
} & (
  | {
      /** A whole number from 1 on. */
      readonly kind: "count";
      readonly default: number;
    }
  | { readonly kind: "choice"; readonly default: string; readonly choices: readonly string[] }
  | { readonly kind: "flag"; readonly default: boolean }
);

/** The knobs of a backend by name. */
export type KnobSpecs = Readonly<Record<string, KnobSpec>>;

/** What a knob may be set to. */
export type KnobValue = string | number | boolean;
