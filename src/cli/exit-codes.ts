// What the exit code of the command line says, in one table.

import type { ErrorCode } from "../core/errors.ts";

/** Every exit code by its meaning. */
export const exitCodes = {
  ok: 0,
  failure: 1,
  usage: 2,
  /** An input is missing or cannot be read. */
  input: 3,
  /** The data of an input is not what it should be. */
  badData: 4,
  /** An output is there already. */
  exists: 5,
  /** A package is not there. */
  missing: 6,
  /** 128 + SIGINT, as shells have it. */
  interrupted: 130,
  /** 128 + SIGTERM. */
  terminated: 143,
} as const;

/** The exit code of each {@link ErrorCode}. */
export const exitCodeOfError: Readonly<Record<ErrorCode, number>> = {
  format: exitCodes.badData,
  truncated: exitCodes.badData,
  checksum: exitCodes.badData,
  limit: exitCodes.badData,
  unsupported: exitCodes.badData,
  shape: exitCodes.badData,
  input: exitCodes.input,
  output: exitCodes.failure,
  exists: exitCodes.exists,
  usage: exitCodes.usage,
  state: exitCodes.usage,
  worker: exitCodes.failure,
  backend: exitCodes.failure,
  package: exitCodes.missing,
  aborted: exitCodes.interrupted,
};
