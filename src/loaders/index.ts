// Public exports of kdata/loaders.

export type { BadSample, EpochLedger, OnError, SkippedSample } from "./ledger.ts";
export { fakeData, type FakeData, type FakeDataOptions, type FakeFeature } from "./fake-data.ts";
export { loader, type Loader } from "./loader.ts";
export { mix, type MixOptions, type MixSource } from "./mix.ts";
export type { MixStop } from "./mixture.ts";
export type { LoaderOptions } from "./options.ts";
export type { BlockShuffle, Shuffle } from "./order.ts";
export type { Fingerprint } from "./fingerprint.ts";
export type { LoaderState, MixtureState, SourceState } from "./state.ts";
export type { LoaderStats } from "./stats.ts";
export type { StreamLoader, StreamStats } from "./stream-loader.ts";
export type { StreamOptions } from "./stream-options.ts";
export type { StreamInput } from "./stream-samples.ts";
export type { StreamState } from "./stream-state.ts";
export type { Remainder } from "./topology.ts";
