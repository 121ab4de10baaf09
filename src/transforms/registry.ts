// The transforms that can be described, by name. A new one is a file and two lines here.

import { KdataError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import { buildCast, type CastDescription } from "./cast.ts";
import { buildDecodeRaw, type DecodeRawDescription } from "./decode-raw.ts";
import { buildNormalize, type NormalizeDescription } from "./normalize.ts";
import { buildReshape, type ReshapeDescription } from "./reshape.ts";
import { buildSelect, type SelectDescription } from "./select.ts";
import type { Transform } from "./transform.ts";

/** A transform as plain JSON, which crosses into a worker thread. Made by the function of the same name. */
export type TransformDescription =
  CastDescription | DecodeRawDescription | NormalizeDescription | ReshapeDescription | SelectDescription;

type Builders = {
  readonly [Name in TransformDescription["transform"]]: (
    description: Extract<TransformDescription, { readonly transform: Name }>,
  ) => Transform;
};

const builders: Builders = {
  cast: buildCast,
  decodeRaw: buildDecodeRaw,
  normalize: buildNormalize,
  reshape: buildReshape,
  select: buildSelect,
};

/**
 * Builds the transform that a description describes.
 *
 * @throws {KdataError} `usage` when there is no transform of that name.
 */
export function buildTransform(description: TransformDescription): Transform {
  const name: string = description.transform;
  if (!Object.hasOwn(builders, name)) {
    const names = Object.keys(builders);
    const nearest = nearestName(name, names);
    throw new KdataError("usage", `Cannot build transform '${name}': the transforms are ${names.join(", ")}`, {
      ...(nearest !== undefined && { hint: `did you mean '${nearest}'?` }),
    });
  }
  // The compiler cannot see that the builder found under a description's name takes that description.
  const build = builders[description.transform] as (description: TransformDescription) => Transform;
  return build(description);
}
