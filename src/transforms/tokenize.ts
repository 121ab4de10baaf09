// Text to the numbers of its tokens.

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { KdataError, messageOf } from "../core/errors.ts";
import { checkName, checkOptionNames, checkWhole } from "../core/options.ts";
import { featureKind, type Sample } from "../core/sample.ts";
import { replaceFeature, requireFeature } from "./feature.ts";
import type { Side } from "./pad.ts";
import { findTokenizer, type Tokenizer } from "./tokenizer-file.ts";
import type { Transform } from "./transform.ts";

/** How {@link tokenize} makes tokens. */
export interface TokenizeSettings {
  /** A file as Hugging Face's tokenizers save it (`tokenizer.json`): a URL, or a path from the current directory on. */
  readonly tokenizer: string | URL;
  /** The feature to put the tokens into. Default: the one of the text. */
  readonly into?: string;
  /** At most so many tokens, special ones included. Default: as many as there are. */
  readonly maxLength?: number;
  /** At which end of the text too many tokens are cut off; the special ones stay. Default `right`. */
  readonly truncate?: Side;
  /** Whether the tokens that the tokenizer puts around a text are added, such as [CLS] and [SEP]. Default true. */
  readonly addSpecialTokens?: boolean;
  /** The name of a feature to add: an attention mask, int32 [tokens], all 1; `pad` and `padBatch` fill it with 0. */
  readonly mask?: string;
}

/** The description that {@link tokenize} returns. */
export interface TokenizeDescription {
  readonly transform: "tokenize";
  readonly feature: string;
  /** The URL of the file. */
  readonly tokenizer: string;
  readonly into: string;
  readonly maxLength?: number;
  readonly truncate: Side;
  readonly addSpecialTokens: boolean;
  readonly mask?: string;
}

/**
 * Makes tokens of a string: int32 [tokens], the numbers of the tokenizer's vocabulary. Padding and truncation that the file itself asks
 * for are not done: `maxLength`, `pad` and `padBatch` say what is.
 *
 * Needs the package `@huggingface/tokenizers`, which computes what Hugging Face's own library does, in plain JavaScript.
 *
 * @throws {KdataError} `package`, `input`, `limit`, `format` when the tokenizer cannot be loaded. For each sample: `shape` when the feature
 *   is no string, `format` when the tokenizer fails over it.
 */
export function tokenize(feature: string, settings: TokenizeSettings): TokenizeDescription {
  const action = `Cannot tokenize '${feature}'`;
  const names = ["tokenizer", "into", "maxLength", "truncate", "addSpecialTokens", "mask"];
  checkOptionNames(action, settings, names);
  const { tokenizer, into = feature, maxLength, truncate = "right", addSpecialTokens = true, mask } = settings;
  if (maxLength !== undefined) checkWhole(action, "maxLength", maxLength, 1);
  checkName(action, "side to truncate", truncate, ["left", "right"]);
  if (mask === into) throw new RangeError(`${action}: the mask cannot have the name of the tokens`);
  const isUrl = tokenizer instanceof URL || tokenizer.startsWith("file:");
  const url = isUrl ? new URL(tokenizer) : pathToFileURL(resolve(tokenizer));
  return {
    transform: "tokenize",
    feature,
    tokenizer: url.href,
    into,
    ...(maxLength !== undefined && { maxLength }),
    truncate,
    addSpecialTokens,
    ...(mask !== undefined && { mask }),
  };
}

/** Builds the transform that {@link tokenize} describes. */
export function buildTokenize(description: TokenizeDescription): Transform {
  const { feature, into, mask } = description;
  let tokenizer: Tokenizer | undefined;
  return (sample) => {
    tokenizer ??= findTokenizer(description.tokenizer);
    const ids = encode(tokenizer, textOf(sample, feature), description, sample);
    const data = Int32Array.from(ids);
    const shape = [data.length];
    const result = replaceFeature(sample, into, { dtype: "int32", shape, data });
    if (mask === undefined) return result;
    return replaceFeature(result, mask, { dtype: "int32", shape, data: new Int32Array(data.length).fill(1) });
  };
}

function textOf(sample: Sample, feature: string): string {
  const text = requireFeature(sample, feature, "tokenize");
  if (typeof text === "string") return text;
  const kind = featureKind(text);
  throw new KdataError("shape", `Cannot tokenize '${feature}': it is ${kind}, not a string`, {
    at: sample.origin,
    ...(kind === "bytes" && { hint: `decode it first, with decodeText("${feature}")` }),
  });
}

function encode(
  tokenizer: Tokenizer,
  text: string,
  { feature, maxLength = Infinity, truncate, addSpecialTokens }: TokenizeDescription,
  sample: Sample,
): readonly number[] {
  try {
    const { ids } = tokenizer.encode(text, { add_special_tokens: addSpecialTokens });
    if (ids.length <= maxLength) return ids;
    const content = addSpecialTokens ? tokenizer.encode(text, { add_special_tokens: false }).ids : ids;
    return shorten(ids, content, maxLength, truncate);
  } catch (cause) {
    if (cause instanceof RangeError) {
      throw new KdataError("shape", `Cannot tokenize '${feature}': ${cause.message}`, { at: sample.origin, cause });
    }
    const message = messageOf(cause);
    throw new KdataError("format", `Cannot tokenize '${feature}': ${message}`, { at: sample.origin, cause });
  }
}

/** Cuts the text's own tokens, and leaves the special ones before and behind them. */
function shorten(ids: readonly number[], content: readonly number[], maxLength: number, side: Side): readonly number[] {
  const special = ids.length - content.length;
  if (special > maxLength) throw new RangeError(`${special} special tokens are more than maxLength ${maxLength}`);
  let before = 0;
  while (before < special && content.some((id, i) => id !== ids[before + i])) before++;
  const kept = maxLength - special;
  const part = side === "right" ? content.slice(0, kept) : content.slice(content.length - kept);
  return [...ids.slice(0, before), ...part, ...ids.slice(before + content.length)];
}
