// What a verb of the command line is. Each one is a file of its own and a line in commands.ts.

import type { Command } from "commander";
import type { Output } from "./output.ts";
import type { Progress } from "./progress.ts";

/** What a verb is run with. */
export interface Invocation<Flags> {
  /** The arguments after the verb that are not flags. */
  readonly args: readonly string[];
  /** The verb's own flags, by their names in camel case. */
  readonly flags: Flags;
  /** Standard output. */
  readonly output: Output;
  /** Standard error, while it runs. Removed from the screen when the verb throws. */
  readonly progress: Progress;
}

/**
 * A verb of the command line.
 *
 * `--format`, `--json`, `--progress`, `--debug` and `--help` come with every one.
 */
export interface CommandDefinition<Flags = object> {
  /** Adds arguments, flags and examples. */
  configure(command: Command): void;
  /**
   * Does it. What it throws is shown, and the exit code is that of the error.
   *
   * @returns the exit code where there is one to say without an error: bad data that was found and reported.
   */
  run(invocation: Invocation<Flags>): Promise<number | undefined>;
}
