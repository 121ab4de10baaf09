// A folder of files by class: `root/<class>/<file>`, as torchvision's ImageFolder, Keras and Hugging Face datasets read it.
// https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.ImageFolder.html

import { relative, resolve, sep } from "node:path";
import { KdataError } from "../core/errors.ts";
import { emptyFeatures, type Sample } from "../core/sample.ts";
import { listClassFolders } from "./class-folders.ts";
import { faultOr } from "./fault.ts";
import type { Fault, Format, Limits, ShardFiles, ShardReader } from "./format.ts";
import { resolveLimits } from "./limits.ts";
import type { SeekableSource } from "./source.ts";

/** What files are, by extension in lower case: torchvision's images with GIF, and the usual audio. */
const mediaByExtension: ReadonlyMap<string, string> = new Map([
  ...["jpg", "jpeg", "png", "ppm", "bmp", "pgm", "tif", "tiff", "webp", "gif"].map((ext) => [ext, "image"] as const),
  ...["wav", "flac", "mp3", "ogg"].map((ext) => [ext, "audio"] as const),
]);

/**
 * A directory of classes. Each file is a sample: its bytes `image` (or `audio`), `label` (the number of its class in the order
 * of the names, int64) and `class` (the name). The key is the path under the directory without the extension.
 *
 * Files of other extensions are passed over, as ImageFolder does; what lies where it cannot have a class is refused.
 */
export const folder: Format = {
  name: "folder",
  title: "folder of files by class",
  extensions: [],
  detect: () => false, // it is the directory that is recognized, not the content of a file
  fromDirectory,
  open(files, options, name) {
    if (name === undefined) throw new TypeError("Cannot open folder: the directory is not named");
    return new FolderReader(name, files, resolveLimits(options?.limits));
  },
};

function fromDirectory(directory: string): ShardFiles | undefined {
  const trimmed = directory.replace(/[/\\]+$/, "");
  // `.` and `..` cannot name outputs.
  const name = /(?:^|[/\\])\.{0,2}$/.test(trimmed) ? resolve(directory) : trimmed;
  const paths = listClassFolders(name, (file) => mediaOf(file) !== undefined);
  const kinds = new Set(paths?.map(mediaOf));
  if (kinds.size > 1) {
    const reason = `Cannot read folder: it holds files of several kinds: ${[...kinds].join(", ")}`;
    throw new KdataError("unsupported", reason, { at: { source: name } });
  }
  return paths && { name, paths };
}

function mediaOf(path: string): string | undefined {
  return mediaByExtension.get(/\.([^./\\]+)$/.exec(path)?.[1]?.toLowerCase() ?? "");
}

class FolderReader implements ShardReader {
  readonly source: string;
  readonly #files: readonly SeekableSource[];
  readonly #limits: Limits;
  /** Numbers of the classes: files come in the order of their classes. */
  readonly #labels = new Map<string, bigint>();
  /** Grows to the largest file that was read. */
  #memory = new Uint8Array(0);

  constructor(name: string, files: readonly SeekableSource[], limits: Limits) {
    this.source = name;
    this.#files = files;
    this.#limits = limits;
    for (const file of files) {
      const label = this.#pathOf(file)[0] ?? "";
      if (!this.#labels.has(label)) this.#labels.set(label, BigInt(this.#labels.size));
    }
  }

  count(): number {
    return this.#files.length;
  }

  read(record: number): Sample {
    const file = this.#files[record];
    if (!file) throw new RangeError(`Cannot read record ${record} of ${this.source}: it has ${this.#files.length}`);
    const path = this.#pathOf(file);
    const className = path[0] ?? "";
    const features = emptyFeatures();
    features[mediaOf(file.name) ?? "data"] = this.#content(file, record);
    features["label"] = { dtype: "int64", shape: [], data: BigInt64Array.of(this.#labels.get(className) ?? 0n) };
    features["class"] = className;
    return { key: path.join("/").replace(/\.[^./]*$/, ""), origin: { source: this.source, record }, features };
  }

  *samples(): Generator<Sample> {
    for (let record = 0; record < this.#files.length; record++) yield this.read(record);
  }

  *check(): Generator<Sample | Fault> {
    for (let record = 0; record < this.#files.length; record++) {
      const sample = faultOr(() => this.read(record));
      yield sample instanceof KdataError ? { error: sample, uncheckedBytes: 0 } : sample;
    }
  }

  index(): undefined {
    return undefined;
  }

  scan(): undefined {
    return undefined;
  }

  close(): void {
    for (const file of this.#files) file.close();
  }

  /** The parts of a file's path under the directory; the first one is the class. */
  #pathOf({ name }: SeekableSource): readonly string[] {
    return relative(this.source, name).split(sep);
  }

  #content(file: SeekableSource, record: number): Uint8Array {
    const { size } = file;
    const at = { source: file.name, record };
    if (size > this.#limits.recordBytes) {
      const reason = `a file of ${size} bytes exceeds the limit of ${this.#limits.recordBytes}`;
      throw new KdataError("limit", `Cannot read folder: ${reason}`, { at });
    }
    if (size > this.#memory.length) this.#memory = new Uint8Array(size);
    const content = this.#memory.subarray(0, size);
    const read = file.read(content, 0);
    if (read < size) {
      const reason = "Cannot read folder: the file became shorter while it was read";
      throw new KdataError("truncated", reason, { at: { ...at, byte: read } });
    }
    return content;
  }
}
