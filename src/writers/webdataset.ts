// WebDataset shards (https://github.com/webdataset/webdataset): a tar archive whose members `<key>.<ext>` follow each other
// sample by sample.

import { existsSync } from "node:fs";

import { KdataError } from "../core/errors.ts";
import type { Sample } from "../core/sample.ts";
import {
  encodeTarGlobalHeader,
  tarEndSize,
  tarMemberHeaderSize,
  tarPaddedSize,
  writeTarMemberHeader,
} from "../readers/tar.ts";
import { NOTE_KEYWORD, encodeMemberNotes, splitMemberPath, type MemberNote } from "../readers/webdataset-members.ts";
import type { ShardWriter, WritableFormat, WrittenShard } from "./format.ts";
import { PartialFile } from "./output.ts";
import type { ByteSink } from "./sink.ts";
import { sortedFeatures } from "./sorted-features.ts";
import { memberOf, type Member } from "./webdataset-members.ts";

const FIRST_HEADER_BYTES = 4096; // the header's buffer grows to the longest member name

/**
 * WebDataset tar, uncompressed. Lists, bfloat16, samples without features and keys that cannot be file names are refused.
 * Equal samples give equal bytes.
 */
export const writableWebdataset: WritableFormat = {
  name: "webdataset",
  extension: "tar",
  paths: (stem) => [pathOf(stem)],
  existing: (stem) => [pathOf(stem)].filter((path) => existsSync(path)),
  stream: (sink) => new WebdatasetWriter(sink),
  create: (stem) => new WebdatasetWriter(new PartialFile(pathOf(stem))),
};

class WebdatasetWriter implements ShardWriter {
  readonly #file: ByteSink;
  readonly #keys = new Set<string>();
  /** The feature that each extension of this shard stands for: name and dtype may not change from sample to sample. */
  readonly #meanings = new Map<string, MemberNote>();
  readonly #notes = new Map<string, MemberNote>();
  #header = new Uint8Array(FIRST_HEADER_BYTES);

  constructor(file: ByteSink) {
    this.#file = file;
  }

  get bytes(): number {
    return this.#file.bytes;
  }

  get records(): number {
    return this.#keys.size;
  }

  write(sample: Sample): void {
    const { key } = sample;
    checkKey(sample);
    if (this.#keys.has(key)) throw refuse(sample, "the key is in this shard already");
    const members = this.#membersOf(sample);
    if (this.#learn(members, sample)) {
      this.#file.append(encodeTarGlobalHeader({ [NOTE_KEYWORD]: encodeMemberNotes(this.#notes) }));
    }
    for (const { ext, content } of members) this.#append(`${key}.${ext}`, content);
    this.#keys.add(key);
  }

  finish(): WrittenShard {
    this.#file.appendZeros(tarEndSize(this.#file.bytes));
    this.#file.commit();
    return { files: [{ path: this.#file.path, bytes: this.#file.bytes }], records: this.records };
  }

  abort(): void {
    this.#file.abort();
  }

  #membersOf(sample: Sample): readonly Member[] {
    const exts = new Map<string, string>();
    const members = sortedFeatures(sample).map(([name, feature]) => {
      const member = memberOf(name, feature, `${nameOf(sample)}, feature "${name}"`);
      const other = exts.get(member.ext);
      if (other !== undefined) {
        throw refuse(
          sample,
          `features "${other}" and "${name}" would both be the member ".${member.ext}"`,
          RENAME_HINT,
        );
      }
      exts.set(member.ext, name);
      const split = splitMemberPath(`${sample.key}.${member.ext}`);
      if (split?.key !== sample.key || split.ext !== member.ext) {
        throw refuse(
          sample,
          `webdataset would not find the key in the member name "${sample.key}.${member.ext}"`,
          KEY_HINT,
        );
      }
      return member;
    });
    if (members.length === 0) throw refuse(sample, "a sample without features has no members");
    return members;
  }

  /** Notes what the extensions of a sample stand for, and says whether one needs a note that was not written yet. */
  #learn(members: readonly Member[], sample: Sample): boolean {
    const added = members.filter(({ ext, note }) => {
      const meaning = note ?? { name: ext };
      const known = this.#meanings.get(ext);
      if (known && (known.name !== meaning.name || known.dtype !== meaning.dtype)) {
        const reason = `the member ".${ext}" is ${describe(meaning)} here, but ${describe(known)} in an earlier sample`;
        throw refuse(sample, reason, RENAME_HINT);
      }
      return known === undefined;
    });
    for (const { ext, note } of added) {
      this.#meanings.set(ext, note ?? { name: ext });
      if (note) this.#notes.set(ext, note);
    }
    return added.some(({ note }) => note !== undefined);
  }

  #append(path: string, content: readonly Uint8Array[]): void {
    const size = content.reduce((sum, part) => sum + part.length, 0);
    const headerBytes = tarMemberHeaderSize(path, size);
    if (headerBytes > this.#header.length) this.#header = new Uint8Array(2 * headerBytes);
    writeTarMemberHeader(this.#header, 0, path, size);
    this.#file.append(this.#header.subarray(0, headerBytes));
    for (const part of content) this.#file.append(part);
    this.#file.appendZeros(tarPaddedSize(size) - size);
  }
}

const RENAME_HINT = "Rename one of the features.";
const KEY_HINT = "WebDataset keys are paths without a dot after the last slash: `images/0001`.";

/** Refuses keys that could not be the path of a file below a directory. */
function checkKey(sample: Sample): void {
  const { key } = sample;
  const isPath = key.split("/").every((part) => part !== "" && part !== "." && part !== "..");
  if (!isPath) throw refuse(sample, "the key is no relative path", KEY_HINT);
  // NUL ends a name in tar, and newlines break listings.
  if (/[\0\n\r]|\p{Surrogate}/u.test(key))
    throw refuse(sample, "the key has characters no member name can have", KEY_HINT);
}

function refuse(sample: Sample, reason: string, hint?: string): KdataError {
  return new KdataError("shape", `${nameOf(sample)}: ${reason}`, {
    at: sample.origin,
    ...(hint === undefined ? {} : { hint }),
  });
}

function nameOf(sample: Sample): string {
  return `Cannot write webdataset: sample "${sample.key}"`;
}

function describe({ name, dtype }: MemberNote): string {
  return dtype === undefined ? `feature "${name}"` : `feature "${name}" of ${dtype}`;
}

function pathOf(stem: string): string {
  return `${stem}.tar`;
}
