// Several data sets, of whatever formats, as one.

import { KdataError } from "../core/errors.ts";
import { checkOptionNames, checkName, checkWhole } from "../core/options.ts";
import { featureKind, isTensor, type Feature, type Sample } from "../core/sample.ts";
import type { DecodeOptions, Limits } from "../readers/format.ts";
import { decodeOptionNames, decodeOptions } from "../readers/tolerance.ts";
import { prepareTransforms } from "../transforms/prepare.ts";
import { buildTransform, type SampleTransformDescription } from "../transforms/registry.ts";
import { checkAborted } from "./aborted.ts";
import { describeDataset, joinDatasets, recordCount, type Dataset } from "./dataset.ts";
import type { EpochRecipe } from "./epoch.ts";
import { firstSamples } from "./first-samples.ts";
import { startLoader, type Loader } from "./loader.ts";
import { lengthUntil, type Mixture, type MixStop, type MixtureSource } from "./mixture.ts";
import { resolveOptions, type LoaderOptions, type ResolvedOptions } from "./options.ts";
import { MAX_SOURCES, scheduleOf } from "./schedule.ts";

/** One data set of a mixture. */
export interface MixSource extends DecodeOptions {
  /** A path or a pattern, or several of them, as {@link loader} takes them. */
  readonly source: string | readonly string[];
  /** Its share, relative to the weights of the others. Default 1. */
  readonly weight?: number;
  /** Applied to each of its samples, in order, before the transforms of all. */
  readonly transforms?: readonly SampleTransformDescription[];
  /** The format's name. Found by content if left out. */
  readonly format?: string;
  /** What a file may declare before it is refused. */
  readonly limits?: Partial<Limits>;
}

/** How a mixture is loaded. */
export interface MixOptions extends Omit<LoaderOptions, "format" | "limits" | keyof DecodeOptions> {
  /** When an epoch ends: see {@link MixStop}. Default `first-exhausted`. */
  readonly stop?: MixStop;
}

const ACTION = "Cannot mix";

const sourceOptions: Readonly<Record<keyof MixSource, true>> = {
  source: true,
  weight: true,
  transforms: true,
  format: true,
  limits: true,
  ...decodeOptions,
};

/**
 * Opens several data sets, which may be of different formats, as one with exact shares.
 *
 * In every prefix of the mixed sequence the number of samples of each source is less than one off its share, weight / sum of weights ×
 * length. Each source has orders of its own, and epochs of its own: where it ends it begins again in another order. An epoch of the loader is a
 * piece of the sequence, whose length is that of the first one; in the next one the sources go on where they are, so that each gives as
 * many samples, give or take one.
 *
 * A state goes on exactly, as that of any loader. It may be loaded by a mixture of the same sources with other weights: these hold from
 * there on, and each source goes on from what it has given.
 *
 * @throws {KdataError} `usage` for an option that is not known, an empty source, or weights in no ratio of whole numbers up to
 *   2^24 together; `shape` when the first samples of two sources differ in features, dtypes or number of axes: the message names both; and
 *   what {@link loader} throws.
 * @throws {RangeError} when a number is out of its range.
 *
 * @example
 * const mixed = await mix(
 *   [
 *     { source: "fixtures/tfrecord/rows.tfrecord", weight: 0.75 },
 *     { source: "fixtures/tfrecord/rows-gzip.tfrecord", weight: 0.25 },
 *   ],
 *   { batchSize: 4, shuffle: true, stop: "all-exhausted" },
 * );
 * for await (const batch of mixed) assert.ok(batch.size <= 4);
 * await mixed.close();
 */
export async function mix(sources: readonly MixSource[], options: MixOptions): Promise<Loader> {
  checkSources(sources);
  const { stop = "first-exhausted", ...rest } = options;
  refuseDecoding(rest);
  const resolved = resolveOptions(rest);
  checkStop(stop);
  const schedule = scheduleOf(sources.map(({ weight = 1 }) => weight));
  const { transforms, shuffle, seed, signal } = resolved;
  checkAborted(signal);
  await prepareTransforms([...sources.flatMap(({ transforms: own = [] }) => own), ...transforms]);
  const datasets: Dataset[] = [];
  for (const { source, ...decode } of sources) datasets.push(await describeDataset(source, { ...decode, signal }));
  checkAborted(signal);
  const described = describeSources(sources, datasets);
  const records = described.map((source) => source.records);
  const mixture: Mixture = {
    sources: described,
    schedule,
    epochLength: typeof stop === "string" ? lengthUntil(stop, schedule, records) : samplesIn(stop.steps, resolved),
    anchor: { epoch: 0, samples: 0, since: 0, taken: records.map(() => 0) },
  };
  const epochs = { dataset: joinDatasets(datasets), transforms, shuffle, seed, mixture };
  checkAgreement(epochs, resolved.onError !== "throw");
  return startLoader(epochs, resolved);
}

function checkSources(sources: readonly MixSource[]): void {
  if (sources.length === 0 || sources.length > MAX_SOURCES) {
    throw new RangeError(`${ACTION}: there must be 1 to ${MAX_SOURCES} sources, not ${sources.length}`);
  }
  for (const source of sources) {
    checkOptionNames(`${ACTION} ${nameOf(source)}`, source, Object.keys(sourceOptions));
    const { weight = 1, transforms = [] } = source;
    if (!(weight > 0 && weight < Infinity)) {
      throw new RangeError(`${ACTION}: the weight of ${nameOf(source)} must be more than 0, not ${weight}`);
    }
    for (const transform of transforms) buildTransform(transform);
  }
}

/** Each source has its own: one for all would mean nothing to some of them. */
function refuseDecoding(options: object): void {
  for (const name of ["format", "limits", ...decodeOptionNames]) {
    if (!Object.hasOwn(options, name)) continue;
    throw new KdataError("usage", `${ACTION}: the option '${name}' is of a source`, {
      hint: `Give it beside 'source'.`,
    });
  }
}

function checkStop(stop: MixStop): void {
  if (typeof stop === "string") {
    checkName(ACTION, "way to stop", stop, ["first-exhausted", "all-exhausted"]);
    return;
  }
  checkOptionNames(`${ACTION} with stop`, stop, ["steps"]);
  checkWhole(ACTION, "stop.steps", stop.steps, 1);
}

function nameOf({ source }: MixSource): string {
  return typeof source === "string" ? source : source.join(" ");
}

function samplesIn(steps: number, { batchSize, worldSize }: ResolvedOptions): number {
  return steps * batchSize * worldSize;
}

function describeSources(sources: readonly MixSource[], datasets: readonly Dataset[]): MixtureSource[] {
  let firstRecord = 0;
  return sources.map((source, number) => {
    const records = recordCount(datasets[number] as Dataset);
    if (records === 0) throw new KdataError("usage", `${ACTION}: ${nameOf(source)} has no records`);
    const described = { name: nameOf(source), firstRecord, records, transforms: source.transforms ?? [] };
    firstRecord += records;
    return described;
  });
}

/**
 * Compares the first good samples of the sources: they must fit into one batch but for the sizes of their axes, which may vary in a
 * source. One that has none at its start is left to the batches.
 */
function checkAgreement(epochs: EpochRecipe & { readonly mixture: Mixture }, skipsBad: boolean): void {
  const { sources } = epochs.mixture;
  let one: { readonly name: string; readonly features: string } | undefined;
  let number = 0;
  for (const first of firstSamples({ ...epochs, skipsBad })) {
    const { name } = sources[number++] as MixtureSource;
    if (!first) continue;
    const features = kindsOf(first.transformed);
    one ??= { name, features };
    if (one.features === features) continue;
    const reason = `the samples of ${one.name} have ${one.features}, those of ${name} ${features}`;
    throw new KdataError("shape", `${ACTION}: ${reason}`, {
      hint: "Give a source transforms that make its features those of the others.",
    });
  }
}

function kindsOf({ features }: Sample): string {
  const kinds = Object.entries(features).map(([name, feature]) => `${name}: ${kindOf(feature)}`);
  return kinds.sort().join(", ");
}

function kindOf(feature: Feature): string {
  if (!isTensor(feature)) return featureKind(feature);
  const { dtype, shape } = feature;
  return shape.length === 0 ? dtype : `${dtype} of ${shape.length} ${shape.length === 1 ? "axis" : "axes"}`;
}
