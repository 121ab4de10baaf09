// Transforms that decode the encoded bytes of a data set, chosen by what its first record holds.

import { KdataError } from "../core/errors.ts";
import { checkName } from "../core/options.ts";
import type { Format, ShardFiles } from "../readers/format.ts";
import { openShard } from "../readers/open.ts";
import * as transforms from "../transforms/index.ts";
import type { TransformDescription } from "../transforms/index.ts";
import { sniffMedia } from "./media.ts";

/** By the kind that a user names: the transform that decodes it, and how its media types begin. */
const kinds: Readonly<Record<string, { readonly transform: string; readonly media: string }>> = {
  image: { transform: "decodeImage", media: "image/" },
  jpeg: { transform: "decodeImage", media: "image/jpeg" },
  png: { transform: "decodeImage", media: "image/png" },
  webp: { transform: "decodeImage", media: "image/webp" },
  gif: { transform: "decodeImage", media: "image/gif" },
};

/**
 * Describes the transforms that decode every feature whose value in the first record is of a kind: `jpeg`, or `image` for any picture.
 *
 * @throws {KdataError} `usage` when the kind is not known, no transform decodes it, or no feature is of it.
 */
export function decodersOf(kind: string, format: Format, shards: readonly ShardFiles[]): TransformDescription[] {
  checkName("Cannot decode", "kind", kind, Object.keys(kinds));
  const { transform = "", media = "" } = kinds[kind] ?? {};
  // The transform may be one that this build does not have.
  const describe = (transforms as Readonly<Record<string, unknown>>)[transform];
  if (typeof describe !== "function")
    throw new KdataError("usage", `Cannot decode ${kind}: there is no '${transform}'`);
  const features = featuresOf(media, format, shards);
  if (features.length === 0)
    throw new KdataError("usage", `Cannot decode ${kind}: no feature of the first record is one`);
  return features.map((feature) => (describe as (feature: string) => TransformDescription)(feature));
}

function featuresOf(media: string, format: Format, [shard]: readonly ShardFiles[]): string[] {
  if (!shard) return [];
  const reader = openShard(format, shard);
  try {
    if (reader.count() === 0) return [];
    return Object.entries(reader.read(0).features).flatMap(([name, feature]) =>
      feature instanceof Uint8Array && sniffMedia(feature)?.type.startsWith(media) ? [name] : [],
    );
  } finally {
    reader.close();
  }
}
