// The settings of a backend, its knobs: what each may be, read and checked in one place for all of them.

import type { Backend, Knobs } from "./backend.ts";
import type { KnobSpec, KnobSpecs, KnobValue } from "./knob-specs.ts";
import { checkKnobs } from "./session-checks.ts";

/** A knob that has been read, by the kind of its specification. */
type ValueOf<S extends KnobSpec> = S extends { readonly kind: "choice"; readonly choices: readonly (infer C)[] }
  ? C
  : S extends { readonly kind: "count" }
    ? number
    : boolean;

/**
 * Reads the knobs of a backend, with the default of each that is not given. Digits count as their number, as a command line has them.
 *
 * @throws {KdataError} `usage` for a knob that the backend does not know, with the nearest one.
 * @throws {RangeError} for a value that a knob cannot have; the message lists those it can.
 */
export function readKnobs<const S extends KnobSpecs>(
  backend: string,
  specs: S,
  given: Knobs = {},
): { readonly [Name in keyof S]: ValueOf<S[Name]> } {
  checkKnobs(backend, given, Object.keys(specs));
  const read = Object.entries(specs).map(([name, spec]) => [name, readKnob(backend, name, spec, given[name])]);
  // Each value was read by its own specification.
  return Object.fromEntries(read) as { readonly [Name in keyof S]: ValueOf<S[Name]> };
}

/** Lists the values other than the default that are worth a measurement: of a count those up to twice the default. */
export function otherValues(spec: KnobSpec): KnobValue[] {
  switch (spec.kind) {
    case "flag":
      return [!spec.default];
    case "choice":
      return spec.choices.filter((choice) => choice !== spec.default);
    case "count": {
      const powers = Array.from({ length: Math.floor(Math.log2(2 * spec.default)) + 1 }, (_, power) => 2 ** power);
      return powers.filter((count) => count !== spec.default);
    }
  }
}

function readKnob(backend: string, name: string, spec: KnobSpec, value: KnobValue | undefined): KnobValue {
  if (value === undefined) return spec.default;
  switch (spec.kind) {
    case "count": {
      const count = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
      if (typeof count === "number" && Number.isSafeInteger(count) && count >= 1) return count;
      throw wrongValue(backend, name, value, "a whole number from 1 on");
    }
    case "choice":
      if (typeof value === "string" && spec.choices.includes(value)) return value;
      throw wrongValue(backend, name, value, `one of ${spec.choices.join(", ")}`);
    case "flag":
      if (typeof value === "boolean") return value;
      throw wrongValue(backend, name, value, "true or false");
  }
}

function wrongValue(backend: string, name: string, value: KnobValue, wanted: string): RangeError {
  return new RangeError(`Cannot open ${backend}: the knob ${name} is ${JSON.stringify(value)}, not ${wanted}`);
}

/**
 * Checks the knobs of a backend and says where it computes with them.
 *
 * @throws {KdataError} `usage` for a knob that the backend does not know.
 * @throws {RangeError} for a value that a knob cannot have.
 */
export function deviceWith(backend: Backend, knobs: Knobs): string {
  if (backend.knobs !== undefined) readKnobs(backend.name, backend.knobs, knobs);
  return backend.deviceOf?.(knobs) ?? backend.device;
}
