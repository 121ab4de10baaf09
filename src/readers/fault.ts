// Damage as a value: what lets a check go on where a reader stops.

import { KdataError } from "../core/errors.ts";

/**
 * Does something that bad data may make fail, and returns its error then.
 *
 * @throws {KdataError} `input`: a read that the system refuses says nothing about the data.
 */
export function faultOr<T>(action: () => T): T | KdataError {
  try {
    return action();
  } catch (error) {
    if (error instanceof KdataError && error.code !== "input") return error;
    throw error;
  }
}
