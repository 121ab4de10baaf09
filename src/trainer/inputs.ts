// What of a batch goes into a model: one feature, or several by name.

import type { HostTensor } from "./backend.ts";
import type { GraphDType } from "./plan.ts";
import { feedNames, inputFeedName, isOneInput, type FeedSpec, type InputSpec } from "./train-step.ts";

/** A feature; several under their own names; or several under the model's names: `{ query: "question" }`. */
export type InputNames = string | readonly string[] | Readonly<Record<string, string>>;

/** Shape and dtype of one sample's input. A shape alone is one of float32. */
export type SampleInput = readonly number[] | { readonly shape: readonly number[]; readonly dtype: GraphDType };

/** Shape and dtype of one sample's input, or those of each of its inputs by name. */
export type SampleShape = SampleInput | Readonly<Record<string, SampleInput>>;

/** Reads a model's inputs out of batches. */
export interface ModelInputs {
  /** The features by the names of their feeds. */
  readonly features: ReadonlyMap<string, string>;
  /** Asks for the spec of each feature. */
  spec(specOf: (feature: string) => FeedSpec): InputSpec;
  /** Asks for the tensor of each feature and names it as the plan does. */
  feeds(spec: InputSpec, tensorOf: (feature: string, spec: FeedSpec) => HostTensor): Map<string, HostTensor>;
}

/**
 * Makes the reader of a model's inputs.
 *
 * @throws {RangeError} when the list is empty or names a feature twice.
 */
export function inputsOf(names: InputNames): ModelInputs {
  if (typeof names === "string") {
    return {
      features: new Map([[feedNames.input, names]]),
      spec: (specOf) => specOf(names),
      feeds: (spec, tensorOf) => new Map(isOneInput(spec) ? [[feedNames.input, tensorOf(names, spec)]] : []),
    };
  }
  const entries = isList(names) ? names.map((name): [string, string] => [name, name]) : Object.entries(names);
  if (entries.length === 0 || new Set(entries.map(([name]) => name)).size < entries.length) {
    throw new RangeError(`Cannot make trainer: input is [${entries.map(([name]) => name).join(", ")}]; name each once`);
  }
  return {
    features: new Map(entries.map(([name, feature]) => [inputFeedName(name), feature])),
    spec: (specOf) => Object.fromEntries(entries.map(([name, feature]) => [name, specOf(feature)])),
    feeds(spec, tensorOf) {
      const feeds = new Map<string, HostTensor>();
      for (const [name, feature] of entries) {
        const own = isOneInput(spec) ? undefined : spec[name];
        if (own !== undefined) feeds.set(inputFeedName(name), tensorOf(feature, own));
      }
      return feeds;
    },
  };
}

/** Gives the inputs of a batch another number of rows. */
export function ofBatch(spec: InputSpec, rows: number): InputSpec {
  function withRows({ shape, dtype }: FeedSpec): FeedSpec {
    return { shape: [rows, ...shape.slice(1)], dtype };
  }
  if (isOneInput(spec)) return withRows(spec);
  return Object.fromEntries(Object.entries(spec).map(([name, one]) => [name, withRows(one)]));
}

/** Makes the inputs of a batch of one sample; a shape alone is of the dtype that was seen before, else float32. */
export function batchOfOne(sample: SampleShape, seen: InputSpec | undefined): InputSpec {
  const known = seen !== undefined && isOneInput(seen) ? seen.dtype : undefined;
  if (isSampleInput(sample)) return rowOf(sample, known);
  return Object.fromEntries(Object.entries(sample).map(([name, one]) => [name, rowOf(one, undefined)]));
}

function rowOf(sample: SampleInput, known: GraphDType | undefined): FeedSpec {
  if (isShape(sample)) return { shape: [1, ...sample], dtype: known ?? "float32" };
  return { shape: [1, ...sample.shape], dtype: sample.dtype };
}

function isSampleInput(sample: SampleShape): sample is SampleInput {
  return Array.isArray(sample) || typeof (sample as { readonly dtype?: unknown }).dtype === "string";
}

function isShape(sample: SampleInput): sample is readonly number[] {
  return Array.isArray(sample);
}

function isList(names: Exclude<InputNames, string>): names is readonly string[] {
  return Array.isArray(names);
}
