// The keys of samples from a stream without a name of its own, such as standard input.

import { defaultKey, type Sample } from "../core/sample.ts";

/**
 * Gives samples whose keys are the default ones of the stream (`-/0`) the default keys of the output with this stem (`data/0`),
 * so that they are default ones there too and need not be stored. Everything else stays, the origin for messages too.
 */
export async function* keyedAs(stem: string, samples: AsyncIterable<Sample>): AsyncGenerator<Sample, void> {
  for await (const sample of samples) {
    const { origin } = sample;
    const isDefault = sample.key === defaultKey(origin);
    yield isDefault ? { ...sample, key: defaultKey({ source: stem, record: origin.record }) } : sample;
  }
}
