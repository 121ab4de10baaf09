// Errors that a caller may relax, one by one: what there is to choose, and who is told of what was passed over.

import { KdataError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import type { DecodeOptions, ReadOptions, Tolerance, Tolerated } from "./format.ts";

/** What each error may become; the first one is the default. */
export const toleranceChoices = {
  strayMembers: ["refuse", "skip"],
  repeatedKeys: ["refuse", "separate"],
  missingEnd: ["refuse", "accept"],
  trailingBytes: ["refuse", "ignore"],
  badHeader: ["refuse", "resync"],
} as const satisfies { readonly [Name in keyof Tolerance]-?: readonly NonNullable<Tolerance[Name]>[] };

/** The name of an error that may be relaxed. */
export type ToleranceName = keyof typeof toleranceChoices;

/** Every one of them. */
export const toleranceNames = Object.keys(toleranceChoices) as readonly ToleranceName[];

/** Every option of {@link DecodeOptions}, to be spread into the table of the options that have them too. */
export const decodeOptions: Readonly<Record<keyof DecodeOptions, true>> = {
  features: true,
  message: true,
  strayMembers: true,
  repeatedKeys: true,
  missingEnd: true,
  trailingBytes: true,
  badHeader: true,
};

/** Their names. */
export const decodeOptionNames = Object.keys(decodeOptions) as readonly (keyof DecodeOptions)[];

/**
 * Picks the options of {@link DecodeOptions} that are given out of others. What they are can cross into a thread.
 *
 * @throws {KdataError} `usage` for a choice that there is not.
 */
export function pickDecoding(options: DecodeOptions): DecodeOptions {
  for (const name of toleranceNames) {
    const given: string | undefined = options[name];
    const choices: readonly string[] = toleranceChoices[name];
    if (given === undefined || choices.includes(given)) continue;
    const nearest = nearestName(given, choices);
    throw new KdataError("usage", `Cannot read: ${name} is ${choices.join(" or ")}, not '${given}'`, {
      ...(nearest !== undefined && { hint: `did you mean '${nearest}'?` }),
    });
  }
  return Object.fromEntries(
    decodeOptionNames.flatMap((name) => (options[name] === undefined ? [] : [[name, options[name]]])),
  );
}

/** Says whether an error is to be passed over. */
export function isTolerated(name: ToleranceName, options: Tolerance): boolean {
  const given = options[name];
  return given !== undefined && given !== toleranceChoices[name][0];
}

/** Collects what is passed over, each thing once. */
export class ToleratedLog {
  readonly #seen = new Set<string>();
  #fresh: Tolerated[] = [];

  /** To be given as {@link ReadOptions.onTolerated}. */
  readonly add: NonNullable<ReadOptions["onTolerated"]> = (tolerated) => {
    const { policy, source, byte } = tolerated;
    const id = `${policy} ${byte} ${source}`;
    if (this.#seen.has(id)) return;
    this.#seen.add(id);
    this.#fresh.push(tolerated);
  };

  /** Takes what was added since the last time. */
  take(): readonly Tolerated[] {
    const taken = this.#fresh;
    this.#fresh = [];
    return taken;
  }
}
