// NPZ archives: NPY files in a ZIP archive, as numpy's savez and savez_compressed write them.
// https://numpy.org/doc/stable/reference/generated/numpy.savez.html

import { KdataError } from "../core/errors.ts";
import type { Format, Limits } from "./format.ts";
import { mostInflated, resolveLimits } from "./limits.ts";
import { npyColumns, type NpyBytes } from "./npy.ts";
import type { RowColumn } from "./row-layout.ts";
import { openRows } from "./rows.ts";
import { MemorySource } from "./source-memory.ts";
import type { SeekableSource } from "./source.ts";
import { firstZipName, inflateMember, readZipMembers, verifyStoredMember, type ZipMember } from "./zip.ts";

const SUFFIX = ".npy";

/**
 * NPZ archives: each member is a feature, whose rows are the samples; as with NPY files, `__key__` holds the keys.
 *
 * Opening verifies the checksums of all members. Stored members are then read where they lie, deflated ones are inflated into
 * memory, together no more than `limits.inflatedBytes`. Members that are no NPY files are refused.
 */
export const npz: Format = {
  name: "npz",
  title: "NPZ archive of arrays",
  extensions: ["npz"],
  sealed: true,
  detect: (head) => firstZipName(head)?.endsWith(SUFFIX) === true,
  open([source, ...rest], options) {
    if (source === undefined || rest.length > 0) throw new TypeError("Cannot open npz: a shard is one file");
    const limits = resolveLimits(options?.limits);
    const members = readZipMembers(source, limits);
    holdToLimit(source, members, limits);
    const columns = members.flatMap((member) => memberColumns(source, member, limits));
    return openRows({ format: "npz", name: source.name, columns, sources: [source] }, limits);
  },
};

function holdToLimit(source: SeekableSource, members: readonly ZipMember[], limits: Limits): void {
  let inflatedBytes = 0;
  const most = mostInflated(source.size, limits);
  for (const { name, start, deflated, size } of members) {
    if (deflated) inflatedBytes += size;
    if (inflatedBytes > most) {
      const reason = `Cannot read npz: with member ${name} more than the limit of ${most} bytes are inflated`;
      throw new KdataError("limit", reason, {
        at: { source: source.name, byte: start },
        hint: "Raise limits.inflatedBytes and limits.inflateRatio, or save the arrays without compression.",
      });
    }
  }
}

function memberColumns(source: SeekableSource, member: ZipMember, limits: Limits): RowColumn[] {
  if (isFolder(member)) return [];
  if (!member.name.endsWith(SUFFIX)) {
    throw new KdataError("unsupported", `Cannot read npz: member ${member.name} is no NPY file`, {
      at: { source: source.name, byte: member.start },
    });
  }
  return npyColumns(member.name.slice(0, -SUFFIX.length), memberBytes(source, member), limits);
}

/** What other tools than numpy's add for the folders that members are in. */
function isFolder({ name, size }: ZipMember): boolean {
  return name.endsWith("/") && size === 0;
}

/** The bytes of a member where they lie, or inflated: then messages name archive and member, and count inflated bytes. */
function memberBytes(source: SeekableSource, member: ZipMember): NpyBytes {
  if (!member.deflated) {
    verifyStoredMember(source, member);
    return { source, start: member.start, end: member.end };
  }
  const bytes = inflateMember(source, member);
  return { source: new MemorySource(`${source.name}/${member.name}`, bytes), start: 0, end: bytes.length };
}
