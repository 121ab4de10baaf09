// Bytes as text.

import { KdataError } from "../core/errors.ts";
import { featureKind } from "../core/sample.ts";
import { replaceFeature, requireFeature } from "./feature.ts";
import type { Transform } from "./transform.ts";

/** The description that {@link decodeText} returns. */
export interface DecodeTextDescription {
  readonly transform: "decodeText";
  readonly feature: string;
}

/**
 * Reads bytes as text in UTF-8: bytes become a string, of which a byte order mark is part. What is a string already stays.
 *
 * @throws {KdataError} for each sample: `format` when the bytes are no UTF-8, `shape` when the feature is neither bytes nor a string.
 *
 * @example
 * assert.equal(applyTransform(decodeText("txt"), { txt: new TextEncoder().encode("grüße") }).txt, "grüße");
 */
export function decodeText(feature: string): DecodeTextDescription {
  return { transform: "decodeText", feature };
}

/** Builds the transform that {@link decodeText} describes. */
export function buildDecodeText({ feature }: DecodeTextDescription): Transform {
  const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  return (sample) => {
    const source = requireFeature(sample, feature, "decode");
    if (typeof source === "string") return sample;
    if (!(source instanceof Uint8Array)) {
      throw new KdataError("shape", `Cannot decode '${feature}': it is ${featureKind(source)}, not bytes`, {
        at: sample.origin,
      });
    }
    let text: string;
    try {
      text = decoder.decode(source);
    } catch (cause) {
      throw new KdataError("format", `Cannot decode '${feature}': its bytes are no UTF-8`, {
        at: sample.origin,
        cause,
      });
    }
    return replaceFeature(sample, feature, text);
  };
}
