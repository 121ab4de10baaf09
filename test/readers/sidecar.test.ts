import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { KdataError } from "../../src/core/errors.ts";
import type { ChecksummedIndex, Format } from "../../src/readers/format.ts";
import { decodeSidecar, encodeSidecar, type IndexedFile } from "../../src/readers/sidecar.ts";
import { tfrecord } from "../../src/readers/tfrecord.ts";
import { webdataset } from "../../src/readers/webdataset.ts";
import { describeSample } from "./expected.ts";
import { errorOf, openBytes } from "./shards.ts";

const shards: readonly (readonly [Format, string])[] = [
  [tfrecord, "fixtures/tfrecord/rows.tfrecord"],
  [webdataset, "fixtures/webdataset/notes.tar"],
];

describe.each(shards)("an index of $name", (format, path) => {
  const content = new Uint8Array(readFileSync(path));
  const of: IndexedFile = { format: format.name, size: content.length, modifiedNs: 1_700_000_000_123_456_789n };
  const index = indexOf(format, content);
  const bytes = encodeSidecar(index, of);

  test("comes back as it was", () => {
    expect(decodeSidecar(bytes, "a.kidx", of)).toEqual({ index });
  });

  test("is not used for another size, time or format", () => {
    for (const other of [{ size: of.size + 1 }, { modifiedNs: of.modifiedNs + 1n }, { format: "npy" }]) {
      expect(decodeSidecar(bytes, "a.kidx", { ...of, ...other })).toEqual({
        index: undefined,
        reason: expect.any(String) as unknown,
      });
    }
  });

  test("cut at any byte or with any bit flipped is an error with a position", () => {
    for (let end = 0; end < bytes.length; end++) expectDamage(bytes.subarray(0, end), of);
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const flipped = new Uint8Array(bytes);
      flipped[bit >>> 3]! ^= 1 << (bit & 7);
      expectDamage(flipped, of);
    }
  });

  test("and no bit of a record's bytes can be flipped without an error", () => {
    const [offset = 0, length = 0] = [index.offsets[1], index.lengths[1]];
    // Every fifth bit: of all bytes, and in turn of all places in them.
    for (let bit = 8 * offset; bit < 8 * (offset + length); bit += 5) {
      const flipped = new Uint8Array(content);
      flipped[bit >>> 3]! ^= 1 << (bit & 7);
      const error = errorOf(() => openBytes(format, flipped, path, { index }).read(1));
      expect(error.at).toMatchObject({ source: path });
    }
  });
});

test("an index with a sound checksum is still held to itself", () => {
  const of: IndexedFile = { format: "tfrecord", size: 99, modifiedNs: 5n };
  const lie = (offsets: number[], lengths: number[]) =>
    encodeSidecar(
      { offsets: shared(offsets), lengths: shared(lengths), checksums: new Uint32Array(new SharedArrayBuffer(8)) },
      of,
    );
  expect(decodeSidecar(lie([0, 40], [40, 59]), "a.kidx", of).index?.offsets[1]).toBe(40);
  for (const [offsets, lengths] of [
    [
      [0, 30],
      [40, 59],
    ],
    [
      [0, 40],
      [40, 0],
    ],
    [
      [-1, 40],
      [40, 59],
    ],
    [
      [0, 40.5],
      [40, 59],
    ],
    [
      [0, NaN],
      [40, 59],
    ],
  ] as const) {
    const error = errorOf(() => decodeSidecar(lie([...offsets], [...lengths]), "a.kidx", of));
    expect(error).toMatchObject({ code: "format", at: { source: "a.kidx" } });
  }
});

test("a check notices that a shard has other records than its index", () => {
  const content = new Uint8Array(readFileSync("fixtures/tfrecord/rows.tfrecord"));
  const index = indexOf(tfrecord, content);
  const half = content.subarray(0, index.offsets[6]);
  const found = [...openBytes(tfrecord, half, "a.tfrecord", { index }).check()];
  expect(found.filter((item) => "key" in item).map((sample) => describeSample(sample))).toHaveLength(6);
  expect(found.at(-1)).toMatchObject({ error: { code: "state" }, uncheckedBytes: 0 });
});

function indexOf(format: Format, content: Uint8Array): ChecksummedIndex {
  const scan = openBytes(format, content, "a").scan()!;
  for (;;) {
    const next = scan.next();
    if (next.done === true) return next.value;
  }
}

function expectDamage(bytes: Uint8Array, of: IndexedFile): void {
  const error = errorOf(() => decodeSidecar(bytes, "a.kidx", of));
  expect(error).toBeInstanceOf(KdataError);
  expect(["truncated", "checksum"]).toContain(error.code);
  expect(error.at?.byte).toBeTypeOf("number");
}

function shared(numbers: readonly number[]): Float64Array<SharedArrayBuffer> {
  const array = new Float64Array(new SharedArrayBuffer(8 * numbers.length));
  array.set(numbers);
  return array;
}
