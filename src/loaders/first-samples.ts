// The first good sample of each source, looked at before there is an order.

import { isSampleError } from "../core/errors.ts";
import type { Sample } from "../core/sample.ts";
import type { Pipeline } from "../transforms/transform.ts";
import { recordCount } from "./dataset.ts";
import { pipelineOf, type EpochRecipe } from "./epoch.ts";
import { RecordReader } from "./record-reader.ts";

/** A sample as it is stored and as the transforms make it. */
export interface FirstSample {
  readonly stored: Sample;
  readonly transformed: Sample;
}

/** What is looked into. */
type FirstRecipe = EpochRecipe & { readonly skipsBad?: boolean };

// So many samples at the start may be bad or filtered out; more of them are not waited for.
const MAX_TRIED = 8;

/**
 * Takes the first sample of the data set that is not left out, in a mixture that of each source, in order. `undefined` for a source
 * whose first eight are all left out. Each is valid until the next one is asked for.
 *
 * @throws {KdataError} when a sample cannot be read or transformed, and bad ones are not left out.
 */
export function* firstSamples(recipe: FirstRecipe): Generator<FirstSample | undefined, void> {
  const sources = recipe.mixture?.sources ?? [{ firstRecord: 0, records: recordCount(recipe.dataset) }];
  const reader = new RecordReader(recipe.dataset);
  const pipeline = pipelineOf(recipe);
  try {
    for (const { firstRecord, records } of sources) {
      const tried = Math.min(MAX_TRIED, records);
      yield firstIn(
        Array.from({ length: tried }, (_, i) => firstRecord + i),
        reader,
        pipeline,
        recipe,
      );
    }
  } finally {
    reader.close();
  }
}

function firstIn(
  records: readonly number[],
  reader: RecordReader,
  pipeline: Pipeline,
  { skipsBad = false }: FirstRecipe,
): FirstSample | undefined {
  for (const record of records) {
    try {
      const stored = reader.read(record);
      const transformed = pipeline(stored, 0, record);
      if (transformed) return { stored, transformed };
    } catch (error) {
      if (!skipsBad || !isSampleError(error)) throw error;
    }
  }
  return undefined;
}
