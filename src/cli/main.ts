#!/usr/bin/env node
// The command line: reads the arguments, runs the verb, shows errors, sets the exit code.

import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { KdataError } from "../core/errors.ts";
import type { CommandDefinition } from "./command.ts";
import { commands } from "./commands.ts";
import { exitCodeOfError, exitCodes } from "./exit-codes.ts";
import { InterruptedError } from "./interrupt.ts";
import { isClosedPipe, openOutput, outputFormats, surviveFailedWrites, type OutputFormat } from "./output.ts";
import { openProgress, progressModes, type ProgressMode } from "./progress.ts";
import { formatError, formatUsageError } from "./report-error.ts";
import { isColoured } from "./terminal.ts";

/** The flags that come with every verb. */
interface CommonFlags {
  readonly format: OutputFormat;
  readonly json?: true;
  readonly progress: ProgressMode;
  readonly debug?: true;
}

const EXIT_CODES_HELP = `
Exit codes: 0 ok, 1 failure, 2 usage, 3 input missing or unreadable, 4 bad data found,
5 output exists, 6 a package or device is missing, 130 interrupted, 143 terminated.
Data goes to standard output, everything else to standard error.`;

surviveFailedWrites(process.stdout);
surviveFailedWrites(process.stderr);
process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const coloured = isColoured(process.stderr, process.env);
  try {
    return await runProgram(args, coloured);
  } catch (error) {
    if (isClosedPipe(error)) return exitCodes.ok;
    // Commander has printed its complaint, or the help or version that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    process.stderr.write(formatError(error, { coloured, debug: isDebug(args) }));
    if (error instanceof InterruptedError) return error.exitCode;
    return error instanceof KdataError ? exitCodeOfError[error.code] : exitCodes.failure;
  }
}

async function runProgram(args: readonly string[], coloured: boolean): Promise<number> {
  let exitCode: number = exitCodes.ok;
  const program = makeProgram(coloured);
  for (const { name, summary, load } of commands) {
    const command = program.command(name).summary(summary).description(sentence(summary));
    // A verb that is not in the arguments needs no more than its line in the help.
    if (!args.includes(name)) continue;
    const definition = await load();
    definition.configure(command);
    addCommonFlags(command);
    command.action(async () => {
      exitCode = (await runVerb(definition, command)) ?? exitCodes.ok;
    });
  }
  await program.parseAsync(args, { from: "user" });
  return exitCode;
}

function makeProgram(coloured: boolean): Command {
  return new Command("kdata")
    .description("Reads training data as it is stored and feeds it to whatever trains on it.")
    .version(packageVersion())
    .addHelpText("after", EXIT_CODES_HELP)
    .exitOverride()
    .configureOutput({
      outputError: (complaint, write) => {
        write(formatUsageError(complaint, coloured));
      },
    });
}

function addCommonFlags(command: Command): void {
  const group = "Output:";
  command
    .addOption(
      command
        .createOption("--format <form>", "form of what is printed")
        .choices(outputFormats)
        .default("auto")
        .env("KDATA_FORMAT")
        .helpGroup(group),
    )
    .addOption(command.createOption("--json", "short for --format json").helpGroup(group))
    .addOption(
      command
        .createOption("--progress <mode>", "how progress is shown")
        .choices(progressModes)
        .default("auto")
        .env("KDATA_PROGRESS")
        .helpGroup(group),
    )
    .addOption(command.createOption("--debug", "show the stack of an error").helpGroup(group));
}

async function runVerb(definition: CommandDefinition, command: Command): Promise<number | undefined> {
  const flags = command.opts<CommonFlags>();
  const format = flags.json ? "json" : flags.format;
  const progress = openProgress(
    command.name(),
    format === "quiet" ? "none" : flags.progress,
    process.stderr,
    process.env,
  );
  try {
    const output = openOutput(process.stdout, format);
    return await definition.run({ args: command.args, flags, output, progress });
  } finally {
    progress.close();
  }
}

/** Looks for the flag itself, since an error may come before the flags are parsed. */
function isDebug(args: readonly string[]): boolean {
  return args.includes("--debug");
}

function sentence(summary: string): string {
  return `${summary.slice(0, 1).toUpperCase()}${summary.slice(1)}.`;
}

function packageVersion(): string {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return version;
}
