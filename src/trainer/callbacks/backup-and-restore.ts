// A run that survives being killed, as Keras' BackupAndRestore has it: https://keras.io/api/callbacks/backup_and_restore/.

import { checkOptionNames } from "../../core/options.ts";
import type { Callback } from "./callback.ts";

/** When to back up. */
export interface BackupAndRestoreOptions {
  /** After each epoch, or after so many steps. Default `epoch`. */
  readonly saveFreq?: "epoch" | number;
  /** Removes the backup when the run is at its end. Default true. */
  readonly deleteCheckpoint?: boolean;
}

/**
 * Keeps a checkpoint in a folder and goes on from it when `fit` is called again after a crash: the options `checkpoint`, `resume` and
 * `every` of `fit` in one, which come before it where both are given.
 */
export function backupAndRestore(backupDir: string, options: BackupAndRestoreOptions = {}): Callback {
  checkOptionNames("Cannot make backupAndRestore", options, ["saveFreq", "deleteCheckpoint"]);
  const { saveFreq = "epoch", deleteCheckpoint = true } = options;
  const every = saveFreq === "epoch" ? { epochs: 1 } : { steps: saveFreq };
  return { backup: { checkpoint: backupDir, resume: true, keep: 1, every, deleteAtEnd: deleteCheckpoint } };
}
