// The formats that can be read. A new one is a file of its own and one line here.

import { KdataError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import { csv, tsv } from "./csv.ts";
import { folder } from "./folder.ts";
import type { Format } from "./format.ts";
import { idx } from "./idx.ts";
import { jsonl } from "./jsonl.ts";
import { npy } from "./npy.ts";
import { npz } from "./npz.ts";
import { parquet } from "./parquet.ts";
import { safetensors } from "./safetensors.ts";
import { tfrecord } from "./tfrecord.ts";
import { webdataset } from "./webdataset.ts";

/** Every format that can be read. */
export const formats: readonly Format[] = [
  tfrecord,
  webdataset,
  npy,
  npz,
  safetensors,
  idx,
  folder,
  jsonl,
  csv,
  tsv,
  parquet,
];

/**
 * Finds a format that can be read by its name.
 *
 * @throws {KdataError} `usage` when there is none; the message lists the names, and the hint has the nearest one.
 */
export function formatByName(name: string): Format {
  const found = formats.find((format) => format.name === name);
  if (found) return found;
  const names = formats.map((format) => format.name);
  const nearest = nearestName(name, names);
  throw new KdataError("usage", `Cannot read format ${JSON.stringify(name)}: the formats are ${names.join(", ")}`, {
    ...(nearest === undefined ? {} : { hint: `Did you mean ${nearest}?` }),
  });
}
