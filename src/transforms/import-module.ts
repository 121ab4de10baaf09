// Loads a user's module, TypeScript included. Node from 22.18 on strips types by itself; older ones get a loader hook.

import { register } from "node:module";
import { fileURLToPath } from "node:url";
import { KdataError } from "../core/errors.ts";

// In dist/ also when this file runs from src/, as under a test runner: hooks do not load from TypeScript on every Node.
const HOOK = new URL("../../dist/transforms/typescript-hook.js", import.meta.url);

let registered = false;

/**
 * Imports a module by URL; `.ts` and `.mts` files may use TypeScript syntax that can be erased (no enums, no namespaces).
 * The hint says what the user can do about a module that throws.
 *
 * @throws {KdataError} `input` when the file is missing, is no module, or throws; the cause is what it threw.
 */
export async function importModule(url: string, hint?: string): Promise<Record<string, unknown>> {
  if (!stripsTypes() && !registered) {
    register(HOOK);
    registered = true;
  }
  try {
    return (await import(url)) as Record<string, unknown>;
  } catch (error) {
    if (isMissing(error, url)) {
      throw new KdataError("input", `Cannot read module: ${fileURLToPath(url)} does not exist`, { cause: error });
    }
    if (error instanceof KdataError) throw error;
    throw new KdataError("input", `Cannot load module ${fileURLToPath(url)}: ${messageOf(error)}`, {
      cause: error,
      ...(hint !== undefined && { hint }),
    });
  }
}

function stripsTypes(): boolean {
  return "typescript" in process.features && Boolean(process.features.typescript);
}

/** Tells a missing module from a missing import inside it. */
function isMissing(error: unknown, url: string): boolean {
  const { code, url: missing, message = "" } = error as { code?: string; url?: string; message?: string };
  if (code === "ENOENT") return message.includes(fileURLToPath(url));
  return (
    code === "ERR_MODULE_NOT_FOUND" &&
    (missing === url || message.startsWith(`Cannot find module '${fileURLToPath(url)}'`))
  );
}

/** The type stripper throws objects that are no errors for what it cannot parse. */
function messageOf(error: unknown): string {
  if (typeof error === "object" && error !== null && "message" in error) return String(error.message);
  return String(error);
}
