// How the input of a conversion is read, out of all that it is asked for.

import type { DecodeOptions, ReadOptions } from "../readers/format.ts";
import { pickDecoding } from "../readers/tolerance.ts";
import type { ConvertOptions } from "./options.ts";

/** Picks how the input is read. */
export function readOptionsOf({ limits, ...options }: Pick<ConvertOptions, "limits"> & DecodeOptions): ReadOptions {
  return { ...pickDecoding(options), ...(limits && { limits }) };
}
