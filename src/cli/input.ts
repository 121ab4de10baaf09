// What a command reads: files and patterns, or `-` for standard input.

import { addAbortSignal } from "node:stream";
import type { Command, Option } from "commander";
import { KdataError } from "../core/errors.ts";
import { formats } from "../readers/formats.ts";
import type { StreamSource } from "../readers/source.ts";
import { streamSource } from "../readers/source-stream.ts";

/** Paths, brace or glob patterns, or a stream. */
export type InputSpec = string | readonly string[] | StreamSource;

/** The flag that names the format of the input. */
export function fromOption(command: Command): Option {
  const names = formats.map(({ name }) => name).join(", ");
  return command.createOption("--from <format>", `format of the input, found by content if left out: ${names}`);
}

/** Says whether a spec is a stream. */
export function isStream(spec: InputSpec): spec is StreamSource {
  return typeof spec === "object" && "chunks" in spec;
}

/**
 * Makes the spec of a command's arguments; `-` alone is standard input.
 *
 * The signal ends the wait for standard input.
 *
 * @throws {KdataError} `usage` when `-` comes with other inputs, or when standard input is a terminal.
 */
export function inputSpec(args: readonly string[], signal?: AbortSignal): InputSpec {
  if (!args.includes("-")) return args;
  if (args.length > 1) {
    throw new KdataError("usage", "Cannot read standard input together with files: - must be the only input");
  }
  if (process.stdin.isTTY) {
    throw new KdataError("usage", "Cannot read standard input: it is a terminal", {
      hint: "Pipe data into it, as in: tar cf - digits/ | kdata head -",
    });
  }
  if (signal) addAbortSignal(signal, process.stdin);
  return streamSource("-", process.stdin);
}
