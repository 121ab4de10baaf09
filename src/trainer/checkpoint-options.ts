// When and where a run saves what it needs to go on as if it had never stopped.

import { checkOptionNames, checkWhole } from "../core/options.ts";

/** How often a checkpoint is written: after so many steps, after so many epochs, or when so many seconds have passed. */
export type CheckpointInterval =
  { readonly steps: number } | { readonly epochs: number } | { readonly seconds: number };

/** Checkpoints of a run. */
export interface CheckpointOptions {
  /** The folder; each checkpoint is a folder in it. */
  readonly checkpoint?: string;
  /** Goes on from the newest whole checkpoint of the folder, if there is one. Default false: a folder with checkpoints is refused. */
  readonly resume?: boolean;
  /** How many checkpoints stay, the newest. Default 2. */
  readonly keep?: number;
  /** Default: after each epoch. */
  readonly every?: CheckpointInterval;
  /** A number of an epoch, such as `val_loss`: the checkpoint of the epoch where it was best stays as well. */
  readonly best?: string;
}

/** The names of {@link CheckpointOptions}. */
export const checkpointOptionNames: Readonly<Record<keyof CheckpointOptions, true>> = {
  checkpoint: true,
  resume: true,
  keep: true,
  every: true,
  best: true,
};

const DEFAULT_KEEP = 2; // one to fall back to when the newest is damaged

/** Checkpoints with their defaults. */
export interface ResolvedCheckpoint {
  readonly folder: string;
  readonly resume: boolean;
  readonly keep: number;
  readonly every: CheckpointInterval;
  readonly best: string | undefined;
}

/**
 * Checks the options of checkpoints; `undefined` where there are to be none.
 *
 * @throws {KdataError} `usage` for an unknown interval.
 * @throws {RangeError} when a number is out of its range.
 * @throws {TypeError} when there are options without a folder.
 */
export function resolveCheckpoint(options: CheckpointOptions): ResolvedCheckpoint | undefined {
  const { checkpoint, resume = false, keep = DEFAULT_KEEP, every = { epochs: 1 }, best } = options;
  if (checkpoint === undefined) {
    for (const name of ["resume", "keep", "every", "best"] as const) {
      if (options[name])
        throw new TypeError(`Cannot fit: ${name} is an option of checkpoints; give checkpoint: folder`);
    }
    return undefined;
  }
  checkWhole("Cannot fit", "keep", keep, 1);
  checkOptionNames("Cannot fit", every, ["steps", "epochs", "seconds"]);
  const [count = NaN, ...others] = Object.values<number>(every);
  if (others.length > 0) throw new TypeError("Cannot fit: every is steps, epochs or seconds, one of them");
  if (!(count > 0 && count < Infinity)) throw new RangeError(`Cannot fit: every ${count} is no interval`);
  return { folder: checkpoint, resume, keep, every, best };
}
