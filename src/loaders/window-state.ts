// Going on from a state where samples are chosen by their lengths: within a window only by the same lengths, and by the saved sizes.

import { refuse } from "./state-json.ts";

/** How samples are chosen by their lengths. */
export interface WindowState {
  /** Positions of a window. */
  readonly size: number;
  /** Samples of about one length that follow one another. */
  readonly run: number;
  /** Positions of an epoch. */
  readonly positions: number;
  /** Hash of what the lengths, and the choice by them, depend on. */
  readonly digest: string;
}

/**
 * Says by which windows to go on after so many positions: by those that were saved, whatever the batch size is here, or by the own ones
 * where no window is cut.
 *
 * @throws {KdataError} `state` when a window is cut that would not be the same here.
 */
export function resumeWindows(
  saved: WindowState | undefined,
  own: WindowState | undefined,
  samples: number,
): WindowState | undefined {
  if (
    saved &&
    own &&
    saved.digest === own.digest &&
    endOf(saved, samples) === endOf({ ...saved, positions: own.positions }, samples)
  ) {
    return { ...own, size: saved.size, run: saved.run };
  }
  if (isBorder(saved, samples) && isBorder(own, samples)) return own;
  const sizes = [saved, own].map((windows) => (windows ? `windows of ${windows.size}` : "no windows"));
  throw refuse(
    `its batches were chosen by other lengths, which may change between two windows only: ${samples} samples delivered, ` +
      `${sizes[0]} in the state, ${sizes[1]} here`,
  );
}

/** Where the window ends that a position lies in. */
function endOf({ size, positions }: WindowState, samples: number): number {
  return Math.min(positions, Math.floor(samples / size) * size + size);
}

function isBorder(windows: WindowState | undefined, samples: number): boolean {
  return !windows || samples % windows.size === 0 || samples >= windows.positions;
}
