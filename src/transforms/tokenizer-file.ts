// Tokenizers of Hugging Face's tokenizer.json, https://huggingface.co/docs/tokenizers, by the optional package @huggingface/tokenizers.

import { readFile, stat } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { KdataError, messageOf } from "../core/errors.ts";

/** What is used of the package, whose own types do not resolve in modules. */
export interface Tokenizer {
  encode(text: string, options: { readonly add_special_tokens: boolean }): { readonly ids: readonly number[] };
}

interface TokenizersPackage {
  readonly Tokenizer: new (tokenizer: object, config: object) => Tokenizer;
}

const PACKAGE = "@huggingface/tokenizers";
const TRIED_VERSION = "0.2.0";
const MAX_FILE_BYTES = 2 ** 28; // the largest vocabularies of today take 35 MB

/** Tokenizers of this thread, by the URL of their file. */
const tokenizers = new Map<string, Tokenizer>();

/**
 * Loads a tokenizer.json.
 *
 * @throws {KdataError} `package` when the package is not installed; `input` when the file cannot be read, `limit` when it is over 256 MiB,
 *   `format` when it is no tokenizer, or of a kind that the package does not know.
 */
export async function prepareTokenizer(url: string): Promise<void> {
  if (tokenizers.has(url)) return;
  const { Tokenizer: Loaded } = await loadPackage();
  const source = fileURLToPath(url);
  const text = await readText(source);
  try {
    tokenizers.set(url, new Loaded(JSON.parse(text) as object, {}));
  } catch (cause) {
    const message = messageOf(cause);
    throw new KdataError("format", `Cannot read tokenizer: ${message}`, { at: { source }, cause });
  }
}

/** Finds a tokenizer that was loaded. @throws {KdataError} `usage` when it was not. */
export function findTokenizer(url: string): Tokenizer {
  const found = tokenizers.get(url);
  if (found) return found;
  throw new KdataError("usage", `Cannot tokenize: ${url} was not loaded`, {
    hint: "outside a loader, await prepareTransforms([...]) first",
  });
}

async function loadPackage(): Promise<TokenizersPackage> {
  try {
    const loaded: TokenizersPackage = await import("@huggingface/tokenizers");
    return loaded;
  } catch (cause) {
    throw new KdataError("package", `Cannot tokenize: the package ${PACKAGE} is not installed or does not load here`, {
      hint: `npm install ${PACKAGE}@${TRIED_VERSION}`,
      cause,
    });
  }
}

async function readText(source: string): Promise<string> {
  try {
    const { size } = await stat(source);
    if (size > MAX_FILE_BYTES) {
      const reason = `Cannot read tokenizer: ${size} bytes exceed the limit of ${MAX_FILE_BYTES}`;
      throw new KdataError("limit", reason, { at: { source } });
    }
    return await readFile(source, "utf8");
  } catch (cause) {
    if (cause instanceof KdataError) throw cause;
    throw new KdataError("input", "Cannot read tokenizer: the file is missing or cannot be read", {
      at: { source },
      cause,
    });
  }
}
