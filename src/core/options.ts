// Options held to what there is: a misspelt name is refused with the nearest one, a number out of its range with the range.

import { KdataError } from "./errors.ts";
import { nearestName } from "./nearest.ts";

/**
 * Refuses a name that is not one of the allowed ones.
 *
 * @param action - the start of the message: `Cannot load`
 * @param what - what the name names: `option`
 * @throws {KdataError} `usage`; the hint has the nearest allowed name.
 */
export function checkName(action: string, what: string, name: string, allowed: readonly string[]): void {
  if (allowed.includes(name)) return;
  const nearest = nearestName(name, allowed);
  throw new KdataError("usage", `${action}: there is no ${what} '${name}', only ${allowed.join(", ")}`, {
    ...(nearest !== undefined && { hint: `did you mean '${nearest}'?` }),
  });
}

/** Refuses options of which one is not known. */
export function checkOptionNames(action: string, options: object, allowed: readonly string[]): void {
  for (const name of Object.keys(options)) checkName(action, "option", name, allowed);
}

/**
 * Refuses a number that is not whole or out of its range, both ends included.
 *
 * @throws {RangeError} with the range.
 */
export function checkWhole(
  action: string,
  name: string,
  value: number,
  least: number,
  greatest = Number.MAX_SAFE_INTEGER,
): void {
  if (Number.isSafeInteger(value) && value >= least && value <= greatest) return;
  const range = greatest === Number.MAX_SAFE_INTEGER ? `from ${least} on` : `from ${least} to ${greatest}`;
  throw new RangeError(`${action}: ${name} must be a whole number ${range}, not ${String(value)}`);
}
