// The formats that can be written. A new one is a file of its own and one line here.

import { KdataError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import { writableCsv, writableTsv } from "./csv.ts";
import type { WritableFormat } from "./format.ts";
import { writableJsonl } from "./jsonl.ts";
import { writableNpy } from "./npy.ts";
import { writableNpz } from "./npz.ts";
import { writableParquet } from "./parquet.ts";
import { writableSafetensors } from "./safetensors.ts";
import { writableTfrecord } from "./tfrecord.ts";
import { writableWebdataset } from "./webdataset.ts";

/** Every format that can be written. */
export const writableFormats: readonly WritableFormat[] = [
  writableTfrecord,
  writableWebdataset,
  writableNpy,
  writableNpz,
  writableSafetensors,
  writableJsonl,
  writableCsv,
  writableTsv,
  writableParquet,
];

/**
 * Finds a format that can be written by its name.
 *
 * @throws {KdataError} `usage` when there is none; the message lists the names, and the hint has the nearest one.
 */
export function writableFormatByName(name: string): WritableFormat {
  const found = writableFormats.find((format) => format.name === name);
  if (found) return found;
  const names = writableFormats.map((format) => format.name);
  const nearest = nearestName(name, names);
  throw new KdataError("usage", `Cannot write format ${JSON.stringify(name)}: the formats are ${names.join(", ")}`, {
    ...(nearest === undefined ? {} : { hint: `Did you mean ${nearest}?` }),
  });
}
