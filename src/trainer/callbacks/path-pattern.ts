// File names with numbers of a run in them, in the part of Python's format language that Keras' file names use:
// https://docs.python.org/3/library/string.html#format-specification-mini-language.

import { KdataError } from "../../core/errors.ts";

const FIELD = /\{([^{}:]+)(?::([^{}]*))?\}/g;
const SPEC = /^(0?)(\d*)(?:\.(\d+))?([dfe]?)$/;

/**
 * Fills in `{epoch:02d}`, `{val_loss:.2f}`, `{accuracy}`.
 *
 * @throws {KdataError} `usage` when there is no such number, or the format is none of `d`, `f`, `e` with width and digits.
 */
export function fillPattern(pattern: string, values: Readonly<Record<string, number>>): string {
  return pattern.replace(FIELD, (_whole, name: string, spec = "") => {
    const value = values[name];
    if (value === undefined) {
      throw new KdataError(
        "usage",
        `Cannot name ${pattern}: there is no '${name}', only ${Object.keys(values).join(", ")}`,
      );
    }
    return formatNumber(value, String(spec), pattern);
  });
}

function formatNumber(value: number, spec: string, pattern: string): string {
  const [, zero, width, digits, type] = SPEC.exec(spec) ?? [];
  if (type === undefined) throw new KdataError("usage", `Cannot name ${pattern}: there is no format '${spec}'`);
  let text = String(value);
  if (type === "d") text = String(Math.trunc(value));
  else if (type === "e") text = value.toExponential(Number(digits ?? 6)).replace(/e([+-])(\d)$/, "e$10$2");
  else if (type === "f") text = value.toFixed(Number(digits ?? 6));
  else if (digits !== undefined) text = String(Number(value.toPrecision(Math.max(1, Number(digits)))));
  return text.padStart(Number(width), zero === "0" ? "0" : " ");
}
