// Standard output: data and nothing else. Progress, logs and errors go to standard error.

import { KdataError } from "../core/errors.ts";
import { escapeCharacter, printable } from "./terminal.ts";

/** The values of `--format`. */
export const outputFormats = ["auto", "human", "json", "jsonl", "quiet"] as const;

/**
 * How results are printed.
 *
 * - `auto`: reports for people; records for people on a terminal, as JSON Lines elsewhere
 * - `human`: text
 * - `json`: a report as an indented document, records one a line
 * - `jsonl`: each report and each record on one line
 * - `quiet`: nothing
 */
export type OutputFormat = (typeof outputFormats)[number];

/** Standard output in the form that was asked for. Every method waits until the text is taken. */
export interface Output {
  readonly format: OutputFormat;
  /** Prints what a command found: the object as JSON, or its lines for people. */
  report(value: object, lines: readonly string[]): Promise<void>;
  /** Prints one of many records. */
  record(value: object, lines: readonly string[]): Promise<void>;
  /**
   * Opens standard output for binary data.
   *
   * @throws {KdataError} `usage` when it is a terminal, or when a report is to go there as well.
   */
  binary(): (bytes: Uint8Array) => Promise<void>;
  /**
   * Opens standard output for whole lines of text, UTF-8. What a terminal would obey is escaped there, as JSON has it.
   *
   * @throws {KdataError} `usage` when a report is to go there as well.
   */
  text(): (bytes: Uint8Array) => Promise<void>;
}

const NOT_FOR_TERMINALS = /[\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g; // JSON.stringify leaves them as they are

/**
 * Opens standard output in a form. Control characters in what is printed are escaped.
 *
 * A write whose reader is gone rejects with the system's EPIPE ({@link isClosedPipe}), any other that fails with a
 * {@link KdataError} `output`.
 */
export function openOutput(stream: NodeJS.WriteStream, format: OutputFormat): Output {
  function print(lines: readonly string[]): Promise<void> {
    return write(stream, lines.map((line) => `${line}\n`).join(""));
  }
  function openData(): (data: string | Uint8Array) => Promise<void> {
    if (format !== "auto" && format !== "quiet") {
      throw new KdataError("usage", `Cannot write standard output: the data goes there, so --format ${format} cannot`);
    }
    return (data) => write(stream, data);
  }
  return {
    format,
    async report(value, lines) {
      if (format === "quiet") return;
      if (format === "json") await print([jsonText(value, 2)]);
      else if (format === "jsonl") await print([jsonText(value)]);
      else await print(lines.map(printable));
    },
    async record(value, lines) {
      if (format === "quiet") return;
      const isForPeople = format === "human" || (format === "auto" && stream.isTTY);
      await print(isForPeople ? lines.map(printable) : [jsonText(value)]);
    },
    binary() {
      if (stream.isTTY) {
        throw new KdataError("usage", "Cannot write standard output: it is a terminal, and the data is binary", {
          hint: "Pipe it into a program or a file.",
        });
      }
      return openData();
    },
    text() {
      const open = openData();
      if (!stream.isTTY) return open;
      return (bytes) => open(Buffer.from(bytes).toString().replace(NOT_FOR_TERMINALS, escapeCharacter));
    },
  };
}

/** Says whether an error is that of writing to a pipe whose reader is gone, as in `kdata head a.tar | head -1`. */
export function isClosedPipe(error: unknown): boolean {
  return (
    error instanceof Error &&
    "code" in error &&
    error.code === "EPIPE" &&
    "syscall" in error &&
    error.syscall === "write"
  );
}

/** Keeps a failing write from ending the process on the spot: standard output's writers hear of it, a lost log is no failure. */
export function surviveFailedWrites(stream: NodeJS.WriteStream): void {
  stream.on("error", () => undefined);
}

function jsonText(value: object, indent = 0): string {
  return JSON.stringify(value, null, indent).replace(NOT_FOR_TERMINALS, escapeCharacter);
}

async function write(stream: NodeJS.WriteStream, data: string | Uint8Array): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      stream.write(data, (error) => {
        if (error) reject(error);
        else resolve();
      });
    });
  } catch (error) {
    if (isClosedPipe(error) || !(error instanceof Error)) throw error;
    throw new KdataError("output", `Cannot write standard output: ${error.message}`, { cause: error });
  }
}
