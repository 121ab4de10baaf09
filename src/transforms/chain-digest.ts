// Tells one chain of transforms from another by what it does, wherever the files lie that it takes part of that from.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { KdataError } from "../core/errors.ts";
import { moduleOf, type TransformDescription } from "./registry.ts";

/**
 * Hashes descriptions: 64 hexadecimal digits. Of a user's module and a tokenizer the content of the file counts, not its place; what a module
 * imports does not count.
 *
 * @throws {KdataError} `input` when such a file cannot be read.
 */
export async function chainDigest(descriptions: readonly TransformDescription[]): Promise<string> {
  const hash = createHash("sha256");
  for (const description of descriptions) {
    const url = fileOf(description);
    const rest = Object.entries(description).filter(([, value]) => url === undefined || value !== url);
    hash.update(`${JSON.stringify(rest, exactNumber)}\n`);
    if (url !== undefined)
      hash.update(
        createHash("sha256")
          .update(await contentOf(url))
          .digest(),
      );
  }
  return hash.digest("hex");
}

/** JSON has no word for these numbers, and a chain that fills up with one is another than one that does with the next. */
function exactNumber(_: string, value: unknown): unknown {
  if (typeof value !== "number" || (Number.isFinite(value) && !Object.is(value, -0))) return value;
  return { number: Object.is(value, -0) ? "-0" : String(value) };
}

/** The file that a description takes part of what it does from. */
function fileOf(description: TransformDescription): string | undefined {
  return description.transform === "tokenize" ? description.tokenizer : moduleOf(description);
}

async function contentOf(url: string): Promise<Uint8Array> {
  const source = fileURLToPath(url);
  try {
    return await readFile(source);
  } catch (cause) {
    throw new KdataError("input", "Cannot read file of a transform: it is missing or cannot be read", {
      at: { source },
      cause,
    });
  }
}
