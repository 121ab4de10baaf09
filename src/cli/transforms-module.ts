// A user's list of transforms: a module, TypeScript included, that exports it.

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { KdataError } from "../core/errors.ts";
import type { TransformDescription } from "../transforms/index.ts";
import { importModule } from "./module.ts";

/**
 * Imports the list `transforms` of a module.
 *
 * @throws {KdataError} `input` when the module is missing or throws, `usage` when it exports no such list.
 */
export async function importTransforms(path: string): Promise<readonly TransformDescription[]> {
  const { transforms } = await importModule(pathToFileURL(resolve(path)).href);
  // Each one is checked when it is built.
  if (Array.isArray(transforms)) return transforms as readonly TransformDescription[];
  throw new KdataError("usage", `Cannot read --transforms: ${path} does not export a list \`transforms\``);
}
