// How far a loader has come, as small JSON: enough to go on with other workers, another batch size or another number of ranks.

import { compareFingerprints, differ, type Fingerprint } from "./fingerprint.ts";
import { describeShuffle, type Shuffle } from "./order.ts";
import {
  checkVersion,
  fieldsOf,
  fingerprintField,
  refuse,
  shuffleField,
  stringField,
  wholeNumber,
  type Fields,
} from "./state-json.ts";
import { resumeWindows, type WindowState } from "./window-state.ts";

/** How far a source of a mixture has come. */
export interface SourceState {
  /** Its part of the mixture, a whole number. */
  readonly weight: number;
  /** Samples of it that were delivered before the weights became what they are, over all its epochs. */
  readonly taken: number;
  readonly records: number;
}

/** How far a mixture has come. */
export interface MixtureState {
  /** Samples that were delivered of all sources since the weights are what they are. */
  readonly since: number;
  readonly sources: readonly SourceState[];
}

/** How far a loader has come. JSON of a few hundred bytes, and 60 more for each source of a mixture. */
export interface LoaderState {
  readonly version: 1;
  readonly seed: number;
  readonly shuffle: Shuffle;
  readonly epoch: number;
  /** Positions of the epoch that all ranks together have delivered. */
  readonly samples: number;
  readonly dataset: Fingerprint;
  /** Only of a mixture. */
  readonly mixture?: MixtureState;
  /** Only where samples are chosen by their lengths. */
  readonly windows?: WindowState;
}

/** What a loader must have in common with a state that it goes on from. */
export interface LoaderIdentity {
  readonly seed: number;
  readonly shuffle: Shuffle;
  readonly dataset: Fingerprint;
  /** How many records each source of a mixture has. */
  readonly sources: readonly number[] | undefined;
  readonly windows?: WindowState | undefined;
}

/**
 * Holds a state that was saved to the loader that is to go on from it. The state may come from a file: nothing of it is believed.
 * What it gives has the windows to go on by.
 *
 * @throws {KdataError} `state` when it is no state, or one of another data set, seed or order; the message says the difference.
 */
export function checkState(saved: unknown, own: LoaderIdentity): LoaderState {
  const state = parseState(saved);
  const differences = [
    ...compareSources(state.mixture?.sources, own.sources),
    ...compareFingerprints(state.dataset, own.dataset),
  ];
  if (state.seed !== own.seed) differences.push(differ("seed", state.seed, own.seed));
  const [savedShuffle, ownShuffle] = [describeShuffle(state.shuffle), describeShuffle(own.shuffle)];
  if (savedShuffle !== ownShuffle) differences.push(differ("shuffle", savedShuffle, ownShuffle));
  if (differences.length > 0) throw refuse(`the state is of another run: ${differences.join("; ")}`);
  if (!own.sources && state.samples > own.dataset.records) {
    throw refuse(`${state.samples} samples delivered of an epoch of ${own.dataset.records}`);
  }
  const { windows: savedWindows, ...rest } = state;
  const windows = resumeWindows(savedWindows, own.windows, state.samples);
  return windows ? { ...rest, windows } : rest;
}

function compareSources(saved: readonly SourceState[] | undefined, own: readonly number[] | undefined): string[] {
  if (saved?.length !== own?.length) {
    return [differ("sources of a mixture", saved?.length ?? "none", own?.length ?? "none")];
  }
  return (saved ?? []).flatMap(({ records }, source) => {
    const here = own?.[source] ?? 0;
    return records === here ? [] : [differ(`records of source ${source}`, records, here)];
  });
}

function parseState(saved: unknown): LoaderState {
  const state = fieldsOf(saved, "the state");
  checkVersion(state);
  const shuffle = shuffleField(state);
  const dataset = fingerprintField(state);
  return {
    version: 1,
    seed: wholeNumber(state, "seed"),
    shuffle,
    epoch: wholeNumber(state, "epoch"),
    samples: wholeNumber(state, "samples"),
    dataset,
    ...(state["mixture"] !== undefined && { mixture: parseMixture(fieldsOf(state["mixture"], "its mixture")) }),
    ...(state["windows"] !== undefined && { windows: parseWindows(fieldsOf(state["windows"], "its windows")) }),
  };
}

function parseWindows(windows: Fields): WindowState {
  return {
    size: wholeNumber(windows, "size", "windows.", 1),
    run: wholeNumber(windows, "run", "windows.", 1),
    positions: wholeNumber(windows, "positions", "windows."),
    digest: stringField(windows, "digest", "windows."),
  };
}

function parseMixture(mixture: Fields): MixtureState {
  const { sources } = mixture as { sources?: unknown };
  if (!Array.isArray(sources)) throw refuse("mixture.sources is not a list");
  return {
    since: wholeNumber(mixture, "since", "mixture."),
    sources: sources.map((source: unknown, number) => {
      const within = `mixture.sources[${number}].`;
      const fields = fieldsOf(source, within.slice(0, -1));
      return {
        weight: wholeNumber(fields, "weight", within, 1),
        taken: wholeNumber(fields, "taken", within),
        records: wholeNumber(fields, "records", within),
      };
    }),
  };
}
