// Functions of a user's module: named by module and export, so that a chain of transforms is plain data and crosses into a worker
// thread, where the module is imported before the first sample.

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { KdataError } from "../core/errors.ts";
import type { RandomStream } from "../core/random.ts";
import type { Sample } from "../core/sample.ts";
import { importModule } from "./import-module.ts";

/** Where a function is found. Plain data. */
export interface UserFunction {
  /** The URL of its module. */
  readonly module: string;
  /** The name that it is exported as. */
  readonly name: string;
}

/** Modules of this thread, by URL. */
const modules = new Map<string, Record<string, unknown>>();

/**
 * Names a function of a module: a URL (`new URL("./clean.ts", import.meta.url)` is next to the file that says so), or a path, from the
 * current directory on.
 */
export function userFunction(action: string, module: string | URL, name: string): UserFunction {
  const url = module instanceof URL || module.startsWith("file:") ? new URL(module) : pathToFileURL(resolve(module));
  if (url.protocol !== "file:") throw new RangeError(`Cannot ${action}: the module ${url.href} is no file`);
  return { module: url.href, name };
}

/**
 * Imports the module of a function.
 *
 * @throws {KdataError} `input` when it cannot be imported, `usage` when it exports no function of that name.
 */
export async function prepareUserFunction({ module, name }: UserFunction): Promise<void> {
  if (!modules.has(module)) modules.set(module, await importModule(module));
  const functions = Object.entries(modules.get(module) ?? {}).filter(([, value]) => typeof value === "function");
  if (functions.some(([exported]) => exported === name)) return;
  const names =
    functions
      .map(([exported]) => exported)
      .sort()
      .join(", ") || "none";
  throw new KdataError("usage", `Cannot use ${module}: it exports no function '${name}'; those it exports: ${names}`);
}

/**
 * Makes the call of a function whose module was imported.
 *
 * @throws {KdataError} with the sample's place: `format` with the cause where the function throws, what it throws where that is a
 *   `KdataError`; `usage` when it gives a promise, or its module was not imported.
 */
export function callerOf(
  action: string,
  { module, name }: UserFunction,
): (sample: Sample, random: RandomStream) => unknown {
  let call: ((sample: Sample, random: RandomStream) => unknown) | undefined;
  return (sample, random) => {
    call ??= findFunction(action, module, name);
    let result: unknown;
    try {
      result = call(sample, random);
    } catch (cause) {
      throw placedError(action, name, module, sample, cause);
    }
    if (!(result instanceof Promise)) return result;
    result.catch(() => undefined); // its failure would come too late to be told
    throw new KdataError("usage", `Cannot ${action}: '${name}' of ${module} is asynchronous, and must not be`);
  };
}

function findFunction(action: string, module: string, name: string): (sample: Sample, random: RandomStream) => unknown {
  const found = modules.get(module)?.[name];
  if (typeof found === "function") return found as (sample: Sample, random: RandomStream) => unknown;
  throw new KdataError("usage", `Cannot ${action}: ${module} was not imported`, {
    hint: "outside a loader, await prepareTransforms([...]) first",
  });
}

function placedError(action: string, name: string, module: string, { origin }: Sample, cause: unknown): KdataError {
  if (cause instanceof KdataError) {
    const { code, reason, at = origin, hint } = cause;
    return new KdataError(code, reason, { at, cause, ...(hint !== undefined && { hint }) });
  }
  const message = cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause);
  return new KdataError("format", `Cannot ${action}: '${name}' of ${module} threw ${message}`, { at: origin, cause });
}
