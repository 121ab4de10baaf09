// When a run saves: every so many steps, epochs or seconds, at most one write in flight, the newest and the best kept.

import { KdataError } from "../core/errors.ts";
import type { HostTensor } from "./backend.ts";
import { isBetter, resolveMode } from "./callbacks/monitor.ts";
import { pruneCheckpoints, writeCheckpoint } from "./checkpoint-folder.ts";
import type { ResolvedCheckpoint } from "./checkpoint-options.ts";
import type { RunState } from "./checkpoint-state.ts";

/** What a run says of itself. */
export type StateOf = () => Omit<RunState, "seed" | "best">;

/** Saves a run. */
export class CheckpointSchedule {
  readonly #options: ResolvedCheckpoint;
  readonly #seed: number;
  readonly #read: () => Promise<ReadonlyMap<string, HostTensor>>;
  #firstEpoch = 0;
  #savedAt = performance.now();
  #savedStep = -1;
  #best: RunState["best"];
  #writing: Promise<void> = Promise.resolve();

  /** Makes the schedule of one run; `read` copies the session's tensors and is called between steps. */
  constructor(
    options: ResolvedCheckpoint,
    {
      seed,
      best,
      read,
    }: {
      readonly seed: number;
      readonly best: RunState["best"];
      readonly read: () => Promise<ReadonlyMap<string, HostTensor>>;
    },
  ) {
    this.#options = options;
    this.#seed = seed;
    this.#read = read;
    this.#best = best;
  }

  /** Notes when the run began. */
  begin(firstEpoch: number): void {
    this.#firstEpoch = firstEpoch;
    this.#savedAt = performance.now();
  }

  /** Says whether to save behind a step. */
  isDue(step: number): boolean {
    const { every } = this.#options;
    if ("steps" in every) return step % every.steps === 0 && step !== this.#savedStep;
    return "seconds" in every && performance.now() - this.#savedAt >= every.seconds * 1000;
  }

  /** Saves behind an epoch where that is due, or where the epoch is the best so far. */
  async epochEnded(values: Readonly<Record<string, number>>, state: StateOf): Promise<void> {
    const { every, best } = this.#options;
    const isBest = best !== undefined && this.#improves(best, values, state().step);
    const isDue = "epochs" in every && (state().epoch - this.#firstEpoch) % every.epochs === 0;
    if (isDue || isBest) await this.save(state);
  }

  /**
   * Copies the state and begins to write it; the run goes on meanwhile. Waits for the write before, and throws what went wrong
   * with that.
   */
  async save(state: StateOf): Promise<void> {
    await this.#writing;
    const snapshot: RunState = { ...state(), seed: this.#seed, best: this.#best };
    const tensors = await this.#read();
    this.#savedAt = performance.now();
    this.#savedStep = snapshot.step;
    this.#writing = this.#write(tensors, snapshot);
    this.#writing.catch(() => undefined); // save() or finish() throws it
  }

  /** Waits for the last write, and throws what went wrong with it. */
  async finish(): Promise<void> {
    await this.#writing;
  }

  async #write(tensors: ReadonlyMap<string, HostTensor>, state: RunState): Promise<void> {
    const { folder, keep } = this.#options;
    await writeCheckpoint(folder, tensors, state);
    await pruneCheckpoints(folder, keep, state.best?.step);
  }

  #improves(monitor: string, values: Readonly<Record<string, number>>, step: number): boolean {
    const value = values[monitor];
    if (value === undefined) {
      throw new KdataError(
        "usage",
        `Cannot keep the best checkpoint: there is no '${monitor}', only ${Object.keys(values).join(", ")}`,
      );
    }
    if (this.#best !== undefined && !isBetter(value, this.#best.value, resolveMode("auto", monitor))) return false;
    this.#best = { value, step };
    return true;
  }
}
