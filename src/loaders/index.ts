// Public exports of kdata/loaders.

export { loader, type Loader, type LoaderStats } from "./loader.ts";
export type { LoaderOptions } from "./options.ts";
export type { Fingerprint, LoaderState } from "./state.ts";
export type { Remainder } from "./topology.ts";
