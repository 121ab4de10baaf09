// The order in which features are written.

import type { Feature, Sample } from "../core/sample.ts";

/**
 * Lists the features of a sample by name, in the order of UTF-16 code units: equal samples give equal bytes, whichever order
 * their features were read in.
 */
export function sortedFeatures(sample: Sample): (readonly [name: string, feature: Feature])[] {
  return Object.entries(sample.features).sort(([a], [b]) => (a < b ? -1 : 1));
}
