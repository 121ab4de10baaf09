// Loads a user's module for a command.

import { importModule as importAny } from "../transforms/import-module.ts";

/**
 * Imports a module by URL, TypeScript included, as the transforms `map` and `filter` do.
 *
 * @throws {KdataError} `input` when the file is missing, is no module, or throws; the cause is what it threw.
 */
export async function importModule(url: string): Promise<Record<string, unknown>> {
  return importAny(url, "--debug shows where it was thrown");
}
