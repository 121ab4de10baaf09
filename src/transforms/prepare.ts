// What must be loaded before transforms can be applied: modules of the user's, tokenizers. Transforms themselves are synchronous.

import type { TransformDescription } from "./registry.ts";
import { prepareTokenizer } from "./tokenizer-file.ts";
import { prepareUserFunction } from "./user-function.ts";

/**
 * Loads what transforms need, once in each thread. Loaders do so by themselves, before their first batch; outside a loader it comes
 * before `applyTransform` or `buildTransform` of a `map`, a `filter` by a function, or `tokenize`.
 *
 * @throws {KdataError} `input`, `usage`, `package`, `limit`, `format` as those transforms say.
 */
export async function prepareTransforms(descriptions: readonly TransformDescription[]): Promise<void> {
  for (const description of descriptions) {
    if (description.transform === "map") await prepareUserFunction(description);
    else if (description.transform === "tokenize") await prepareTokenizer(description.tokenizer);
    else if (description.transform === "filter" && !description.condition) await prepareUserFunction(description);
  }
}
