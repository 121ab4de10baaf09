// A loader hook (node:module) that strips the types of TypeScript files. It runs in Node's loader thread.

import { readFile } from "node:fs/promises";
import type { LoadHookContext, LoadFnOutput } from "node:module";
import { fileURLToPath } from "node:url";
import { transformSync } from "amaro";

const TYPESCRIPT = /\.m?ts$/;

/** Loads `.ts` and `.mts` files as modules without their types, and leaves every other file to Node. */
export async function load(
  url: string,
  context: LoadHookContext,
  next: (url: string, context: LoadHookContext) => LoadFnOutput | Promise<LoadFnOutput>,
): Promise<LoadFnOutput> {
  if (!url.startsWith("file:") || !TYPESCRIPT.test(new URL(url).pathname)) return next(url, context);
  const source = await readFile(fileURLToPath(url), "utf8");
  const { code } = transformSync(source, { mode: "strip-only", sourceMap: false, filename: fileURLToPath(url) });
  return { format: "module", source: code, shortCircuit: true };
}
