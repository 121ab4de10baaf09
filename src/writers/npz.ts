// NPZ shards: the NPY arrays of all features as members of one ZIP archive, as numpy's savez writes them.
// https://numpy.org/doc/stable/reference/generated/numpy.savez.html

import { existsSync } from "node:fs";
import { crc32 } from "node:zlib";

import { encodeZipEnd, encodeZipEntry, encodeZipHeader, type StoredMember } from "../readers/zip-encoder.ts";
import { createAssembled, type NamedColumn } from "./assembled.ts";
import type { WritableFormat } from "./format.ts";
import { npyLayout } from "./npy-layout.ts";
import type { PartialFile } from "./output.ts";

const SUFFIX = ".npy";
/** Longer than any name of a feature, and short enough that the whole name is among the bytes formats are detected by. */
const MAX_NAME_BYTES = 1024;

/**
 * NPZ archives: a member `<feature>.npy` for each feature, stored without compression so that rows are read where they lie.
 * What NPY refuses is refused, and so are names that would leave a directory when the archive is unpacked. Equal samples give
 * equal bytes.
 */
export const writableNpz: WritableFormat = {
  name: "npz",
  extension: "npz",
  paths: (stem) => [pathOf(stem)],
  existing: (stem) => [pathOf(stem)].filter((path) => existsSync(path)),
  create: (stem) => createAssembled(pathOf(stem), { format: "npz", layout: npyLayout, nameRefusal, assemble }),
};

/** Appends the arrays as members, then the directory of them. Each array's own file goes as soon as it is copied. */
function assemble(archive: PartialFile, columns: readonly NamedColumn[]): void {
  const members: StoredMember[] = [];
  for (const [name, { file }] of columns) {
    members.push(appendMember(archive, `${name}${SUFFIX}`, file));
    file.abort();
  }
  const directoryStart = archive.bytes;
  for (const member of members) archive.append(encodeZipEntry(member));
  archive.append(encodeZipEnd(members.length, directoryStart, archive.bytes));
}

/** Copies a whole array into the archive; its checksum goes into the header when it is known. */
function appendMember(archive: PartialFile, name: string, file: PartialFile): StoredMember {
  const start = archive.bytes;
  const size = file.bytes;
  archive.append(encodeZipHeader({ name, start, size, crc32: 0 }));
  let sum = 0;
  archive.appendFile(file, (block) => {
    sum = crc32(block, sum);
  });
  const member = { name, start, size, crc32: sum };
  archive.patch(start, encodeZipHeader(member));
  return member;
}

function nameRefusal(feature: string): string | undefined {
  if (/\0|\p{Surrogate}/u.test(feature)) return "no member of an archive can";
  if (Buffer.byteLength(feature) > MAX_NAME_BYTES) return `it takes more than ${MAX_NAME_BYTES} bytes`;
  const parts = feature.split(/[/\\]/);
  const escapes = parts.includes("..") || (parts.length > 1 && /^(?:[A-Za-z]:)?$/.test(parts[0] ?? ""));
  return escapes ? "unpacked, it would leave the directory" : undefined;
}

function pathOf(stem: string): string {
  return `${stem}.npz`;
}
