// JSON Lines (https://jsonlines.org): one JSON object a line is one sample.

import { existsSync } from "node:fs";

import { KdataError } from "../core/errors.ts";
import { defaultKey, type Sample } from "../core/sample.ts";
import { KEY_NAME } from "../readers/jsonl-features.ts";
import type { ShardWriter, WritableFormat, WrittenShard } from "./format.ts";
import { featureJson } from "./jsonl-features.ts";
import { PartialFile } from "./output.ts";
import type { ByteSink } from "./sink.ts";
import { sortedFeatures } from "./sorted-features.ts";

/**
 * JSON Lines, uncompressed. Every kind of feature can be written; a key that is not the default one of the written shard is the
 * member `__key__`. Members are sorted by name, so equal samples give equal bytes.
 */
export const writableJsonl: WritableFormat = {
  name: "jsonl",
  extension: "jsonl",
  paths: (stem) => [pathOf(stem)],
  existing: (stem) => [pathOf(stem)].filter((path) => existsSync(path)),
  isText: true,
  stream: (sink) => new JsonlWriter(sink),
  create: (stem) => new JsonlWriter(new PartialFile(pathOf(stem))),
};

class JsonlWriter implements ShardWriter {
  readonly #file: ByteSink;
  #records = 0;

  constructor(file: ByteSink) {
    this.#file = file;
  }

  get bytes(): number {
    return this.#file.bytes;
  }

  get records(): number {
    return this.#records;
  }

  write(sample: Sample): void {
    const members: string[] = [];
    if (sample.key !== defaultKey({ source: this.#file.path, record: this.#records })) {
      members.push(`"${KEY_NAME}":${JSON.stringify(sample.key)}`);
    }
    for (const [name, feature] of sortedFeatures(sample)) {
      const what = `Cannot write jsonl: sample "${sample.key}", feature "${name}"`;
      if (name === KEY_NAME) throw new KdataError("shape", `${what}: a reserved name`, { at: sample.origin });
      members.push(`${JSON.stringify(name)}:${featureJson(feature, what)}`);
    }
    this.#file.append(Buffer.from(`{${members.join(",")}}\n`));
    this.#records++;
  }

  finish(): WrittenShard {
    this.#file.commit();
    return { files: [{ path: this.#file.path, bytes: this.#file.bytes }], records: this.#records };
  }

  abort(): void {
    this.#file.abort();
  }
}

function pathOf(stem: string): string {
  return `${stem}.jsonl`;
}
