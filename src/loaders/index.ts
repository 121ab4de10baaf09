// Public exports of kdata/loaders.

export type { BadSample, EpochLedger, OnError, SkippedSample } from "./ledger.ts";
export { fakeData, type FakeData, type FakeDataOptions, type FakeFeature } from "./fake-data.ts";
export { loader, type Loader } from "./loader.ts";
export type { LoaderOptions } from "./options.ts";
export type { Fingerprint, LoaderState } from "./state.ts";
export type { LoaderStats } from "./stats.ts";
export type { Remainder } from "./topology.ts";
