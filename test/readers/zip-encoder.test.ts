import { describe, expect, test } from "vitest";
import { MemorySource } from "../../src/readers/source-memory.ts";
import type { SeekableSource } from "../../src/readers/source.ts";
import { encodeZipEnd, encodeZipEntry, encodeZipHeader, type StoredMember } from "../../src/readers/zip-encoder.ts";
import { readZipMembers } from "../../src/readers/zip.ts";

const limits = { headerBytes: 1 << 24 };

interface Layout {
  /** Headers, directory and end, with where they begin. */
  readonly pieces: readonly (readonly [start: number, bytes: Uint8Array])[];
  readonly size: number;
}

function layOut(sizes: readonly (readonly [name: string, size: number])[]): Layout {
  const pieces: [number, Uint8Array][] = [];
  const members: StoredMember[] = [];
  let end = 0;
  const put = (bytes: Uint8Array) => {
    pieces.push([end, bytes]);
    end += bytes.length;
  };
  for (const [name, size] of sizes) {
    const member = { name, start: end, size, crc32: 0x89abcdef };
    put(encodeZipHeader(member));
    members.push(member);
    end += size;
  }
  const directoryStart = end;
  for (const member of members) put(encodeZipEntry(member));
  put(encodeZipEnd(members.length, directoryStart, end));
  return { pieces, size: end };
}

/** A source that is too large for memory: what lies between the pieces is zero. */
function sparseSource({ pieces, size }: Layout): SeekableSource {
  return {
    kind: "seekable",
    name: "large.npz",
    size,
    read(target, position) {
      target.fill(0);
      for (const [start, bytes] of pieces) {
        const from = Math.max(0, position - start);
        const to = Math.min(bytes.length, position + target.length - start);
        if (from < to) target.set(bytes.subarray(from, to), start + from - position);
      }
      return Math.min(target.length, Math.max(0, size - position));
    },
    close: () => undefined,
  };
}

describe("what is encoded of a ZIP archive", () => {
  test.each([
    [
      "small members",
      [
        ["a.npy", 0],
        ["图/b.npy", 1000],
      ],
    ],
    [
      "a member of more than 4 GiB, and one behind it",
      [
        ["a.npy", 5 * 2 ** 30],
        ["b.npy", 7],
      ],
    ],
    [
      "members of exactly what 32 bits hold, and one less",
      [
        ["a.npy", 2 ** 32 - 1],
        ["b.npy", 2 ** 32 - 2],
      ],
    ],
    [
      "members that together are more than 4 GiB",
      [
        ["a.npy", 2 ** 31],
        ["b.npy", 2 ** 31],
        ["c.npy", 2 ** 31],
      ],
    ],
  ] as const)("gives %s back, each at a multiple of 64", (_, sizes) => {
    const members = readZipMembers(sparseSource(layOut(sizes)), limits);
    expect(members.map(({ name, size }) => [name, size])).toEqual(sizes);
    for (const { start, end, size, crc32, deflated } of members) {
      expect([end - start, crc32, deflated, start % 64]).toEqual([size, 0x89abcdef, false, 0]);
    }
  });

  test("gives more members back than 16 bits count", () => {
    const { pieces, size } = layOut(Array.from({ length: 70_000 }, (_, number) => [`${number}.npy`, 0] as const));
    const bytes = new Uint8Array(size);
    for (const [start, piece] of pieces) bytes.set(piece, start);
    expect(readZipMembers(new MemorySource("many.npz", bytes), limits)).toHaveLength(70_000);
  });
});
