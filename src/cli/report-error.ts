// How an error is shown: `kdata: error[CODE]: what (file, record, byte)`, a cause, one hint. The stack only with --debug.

import { KdataError, messageOf } from "../core/errors.ts";
import { paint, printable } from "./terminal.ts";

/** How errors are shown. */
export interface ErrorStyle {
  readonly coloured: boolean;
  /** Shows stacks, causes included. */
  readonly debug: boolean;
}

/** Formats an error as the lines that go to standard error. */
export function formatError(error: unknown, { coloured, debug }: ErrorStyle): string {
  const title = error instanceof KdataError ? `error[${error.code}]:` : "error:";
  const message = messageOf(error);
  const lines = [`kdata: ${paint(title, "red", coloured)} ${shown(message)}`];
  const cause = error instanceof Error ? error.cause : undefined;
  if (cause !== undefined && !message.includes(messageOf(cause))) {
    lines.push(`${paint("cause:", "dim", coloured)} ${shown(messageOf(cause))}`);
  }
  const hint = hintOf(error, debug);
  if (hint !== undefined) lines.push(`${paint("hint:", "dim", coloured)} ${shown(hint)}`);
  if (debug) lines.push(...stackLines(error));
  return `${lines.join("\n")}\n`;
}

/**
 * Formats what the parser of the command line complains about, in one line: `kdata: error: unknown option '--too' (did you mean --to?)`.
 *
 * @param complaint - commander's text: `error: unknown option '--too'\n(Did you mean --to?)\n`.
 */
export function formatUsageError(complaint: string, coloured: boolean): string {
  const line = complaint
    .trim()
    .replace(/^error: /, "")
    .replace(/\s+/g, " ")
    .replace("(Did you mean", "(did you mean");
  return `kdata: ${paint("error:", "red", coloured)} ${printable(line)}\n`;
}

/** Text from packages may have several lines; everything else that a terminal would obey is escaped. */
function shown(text: string): string {
  return text.split("\n").map(printable).join("\n  ");
}

function hintOf(error: unknown, debug: boolean): string | undefined {
  if (error instanceof KdataError) return error.hint;
  return debug ? undefined : "This may be a bug in kdata: --debug shows where it happened.";
}

function stackLines(error: unknown): string[] {
  const lines: string[] = [];
  for (let current = error; current instanceof Error; current = current.cause) {
    lines.push(lines.length === 0 ? "" : "caused by", current.stack ?? current.message);
  }
  return lines.slice(1);
}
