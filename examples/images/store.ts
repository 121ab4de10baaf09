// Pictures as data sets: read from a folder, split, encoded alike, and written in the formats that are asked for.

import { join } from "node:path";
import sharp from "sharp";
import { KdataError } from "kdata";
import { deriveKeyFromName, RandomStream, tensor, type Sample } from "kdata/core";
import { findDataset, openShard } from "kdata/readers";
import { ShardedWriter, writableFormatByName } from "kdata/writers";

const TEST_SHARE = 0.2;
const SHARDS = 2;
const JPEG_QUALITY = 92;

/** How pictures are stored; the name of their feature, and the extension of their files in a tar. */
export type Encoding = "png" | "jpg";

/** A picture with its class. */
export interface Picture {
  readonly key: string;
  /** Pictures of one group are so alike that they must not be on both sides of the split. */
  readonly group: string;
  readonly className: string;
  /** The encoded file. */
  readonly bytes: Uint8Array;
}

/** Pictures to learn from, and pictures to be judged by. */
export interface Split {
  readonly classes: readonly string[];
  readonly train: readonly Picture[];
  readonly test: readonly Picture[];
}

/**
 * Reads a folder of images by class.
 *
 * @throws {KdataError} `usage` when it is something else.
 */
export async function readFolder(path: string): Promise<readonly Picture[]> {
  const { format, shards } = await findDataset(path, { format: "folder" });
  const pictures: Picture[] = [];
  for (const shard of shards) {
    const reader = openShard(format, shard);
    try {
      for (const { key, features } of reader.samples()) {
        const { image, class: className } = features;
        if (!(image instanceof Uint8Array) || typeof className !== "string") {
          throw new KdataError("usage", `Cannot classify ${path}: "${key}" is no image`);
        }
        pictures.push({ key, group: key, className, bytes: image.slice() });
      }
    } finally {
      reader.close();
    }
  }
  return pictures;
}

/** Splits pictures, a group as a whole and by its name alone: about a fifth is held out. */
export function split(pictures: readonly Picture[], seed: number): Split {
  const classes = [...new Set(pictures.map(({ className }) => className))].sort();
  const isTest = ({ group }: Picture): boolean =>
    new RandomStream(deriveKeyFromName(seed, group)).uniform() < TEST_SHARE;
  return { classes, train: pictures.filter((one) => !isTest(one)), test: pictures.filter(isTest) };
}

/**
 * Writes `folder/<format>/train-*` and `test-*` for each format: the encoded image on white, `cls`, the number of the class, and
 * `txt`, its name.
 */
export async function store(folder: string, formats: readonly string[], data: Split, encoding: Encoding) {
  for (const name of ["train", "test"] as const) {
    const samples: Sample[] = [];
    for (const [record, { key, className, bytes }] of data[name].entries()) {
      const label = BigInt64Array.of(BigInt(data.classes.indexOf(className)));
      const features = { [encoding]: await encoded(bytes, encoding), cls: tensor("int64", [], label), txt: className };
      samples.push({ key, origin: { source: name, record }, features });
    }
    for (const format of formats) {
      const splitting = { by: "parts", parts: SHARDS, records: samples.length } as const;
      const writer = new ShardedWriter(writableFormatByName(format), join(folder, format, name), splitting);
      for (const sample of samples) writer.write(sample);
      writer.finish();
    }
  }
}

async function encoded(bytes: Uint8Array, encoding: Encoding): Promise<Uint8Array> {
  const image = sharp(bytes).flatten({ background: "#ffffff" }).toColourspace("srgb");
  return encoding === "png" ? image.png().toBuffer() : image.jpeg({ quality: JPEG_QUALITY }).toBuffer();
}
