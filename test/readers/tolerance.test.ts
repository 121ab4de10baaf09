// Each error that may be relaxed: refused by default, relaxed by its own name alone, and told of with its place.

import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Format, ReadOptions, Tolerance, Tolerated } from "../../src/readers/format.ts";
import { idx } from "../../src/readers/idx.ts";
import { npy } from "../../src/readers/npy.ts";
import { tfrecord } from "../../src/readers/tfrecord.ts";
import { toleranceChoices, toleranceNames, ToleratedLog } from "../../src/readers/tolerance.ts";
import { webdataset } from "../../src/readers/webdataset.ts";
import { encodeTarGlobalHeader, tarEndSize, tarPaddedSize, writeTarMemberHeader } from "../../src/readers/tar.ts";
import { errorOf, readBackwards, readInOrder, readStream } from "./shards.ts";

const END = 1024;
const members = (...names: readonly string[]) => Buffer.concat(names.map((name) => member(name, name)));
const whole = members("a.txt", "a.cap.txt", "b.txt", "b.cap.txt", "c.txt", "d.txt");

interface Case {
  readonly format: Format;
  readonly bytes: Uint8Array;
  readonly policy: keyof Tolerance;
  readonly code: string;
  readonly keys: readonly string[];
  readonly told: Partial<Tolerated>;
}

const rows = readFileSync("fixtures/tfrecord/rows.tfrecord");
const rowBytes = 57;
const array = readFileSync("fixtures/npy/labels.npy");

const cases: Record<string, Case> = {
  "a file of no sample": {
    ...{ format: webdataset, policy: "strayMembers", code: "format" },
    bytes: Buffer.concat([members("a.txt", "README", "b.txt"), Buffer.alloc(END)]),
    keys: ["a", "b"],
    told: { record: 0, byte: 1024, bytes: 1024 },
  },
  "a key that comes again": {
    ...{ format: webdataset, policy: "repeatedKeys", code: "format" },
    bytes: Buffer.concat([members("a.txt", "b.txt", "a.cap.txt"), Buffer.alloc(END)]),
    keys: ["a", "b", "a"],
    told: { record: 2, byte: 2048, bytes: 0 },
  },
  "an archive without its end": {
    ...{ format: webdataset, policy: "missingEnd", code: "truncated" },
    bytes: members("a.txt", "b.txt"),
    keys: ["a", "b"],
    told: { byte: 2048, bytes: 0 },
  },
  "an archive with half of its end": {
    ...{ format: webdataset, policy: "missingEnd", code: "truncated" },
    bytes: Buffer.concat([members("a.txt", "b.txt"), Buffer.alloc(512)]),
    keys: ["a", "b"],
    told: { byte: 2048, bytes: 512 },
  },
  "another archive behind the end": {
    ...{ format: webdataset, policy: "trailingBytes", code: "format" },
    bytes: Buffer.concat([members("a.txt"), Buffer.alloc(END), members("b.txt"), Buffer.alloc(END)]),
    keys: ["a"],
    told: { byte: 2048 },
  },
  "a bad header inside of a sample": {
    ...{ format: webdataset, policy: "badHeader", code: "checksum" },
    bytes: Buffer.concat([flipped(whole, 1024 + 3), Buffer.alloc(END)]),
    keys: ["c", "d"],
    told: { record: 0, byte: 0, bytes: 4096 },
  },
  "a bad header at the beginning of a sample": {
    ...{ format: webdataset, policy: "badHeader", code: "checksum" },
    bytes: Buffer.concat([flipped(whole, 2048 + 3), Buffer.alloc(END)]),
    keys: ["c", "d"],
    told: { record: 0, byte: 0, bytes: 4096 },
  },
  "a bad header of the last member": {
    ...{ format: webdataset, policy: "badHeader", code: "checksum" },
    bytes: Buffer.concat([flipped(whole, 5120 + 3), Buffer.alloc(END)]),
    keys: ["a", "b"],
    told: { record: 2, byte: 4096, bytes: 2048 },
  },
  "a bad length of a TFRecord": {
    ...{ format: tfrecord, policy: "badHeader", code: "checksum" },
    bytes: flipped(rows, 2 * rowBytes),
    keys: ["x/0", "x/1", ...Array.from({ length: 9 }, (_, index) => `x/${index + 2}`)],
    told: { record: 2, byte: 2 * rowBytes, bytes: rowBytes },
  },
  "bytes behind an NPY array": {
    ...{ format: npy, policy: "trailingBytes", code: "format" },
    bytes: Buffer.concat([array, Buffer.from("more")]),
    keys: readInOrder(npy, array, "x.npy").map((_, index) => `x/${index}`),
    told: { byte: array.length, bytes: 4 },
  },
  "bytes behind an idx array": {
    ...{ format: idx, policy: "trailingBytes", code: "format" },
    bytes: Buffer.from([0, 0, 8, 1, 0, 0, 0, 2, 7, 8, 9]),
    keys: ["x/0", "x/1"],
    told: { record: 2, byte: 10, bytes: 1 },
  },
};

describe.each(Object.entries(cases))("%s", (_, { format, bytes, policy, code, keys, told }) => {
  const name = `x.${format.extensions[0]}`;

  test("is an error, also where every other error is relaxed", () => {
    expect(errorOf(() => readInOrder(format, bytes, name)).code).toBe(code);
    const others = Object.fromEntries(
      toleranceNames
        .filter((other) => other !== policy && format.decoding?.includes(other) === true)
        .map((other) => [other, toleranceChoices[other][1]]),
    );
    expect(errorOf(() => readInOrder(format, bytes, name, others)).code).toBe(code);
  });

  test("is passed over on demand, by number and in order and as a stream, and told of", async () => {
    const ways = [readInOrder, readBackwards].map(
      (read) => (options: ReadOptions) => read(format, bytes, name, options),
    );
    const streams = [1, 500, 1 << 20].map(
      (chunk) => (options: ReadOptions) => readStream(format, bytes, name, chunk, options),
    );
    for (const read of [...ways, ...(format.stream === undefined ? [] : streams)]) {
      const log = new ToleratedLog();
      const relaxed = { [policy]: toleranceChoices[policy][1], onTolerated: log.add };
      const samples = (await read(relaxed)) as { readonly key: string }[];
      expect(samples.map(({ key }) => key)).toEqual(keys);
      expect(log.take()).toEqual([expect.objectContaining({ policy, source: name, ...told })]);
    }
  });
});

test("a damaged archive that was cut inside of a member stays an error", () => {
  const relaxed = { missingEnd: "accept", badHeader: "resync", trailingBytes: "ignore" } as const;
  for (const end of [700, 1300, 1536]) {
    expect(errorOf(() => readInOrder(webdataset, whole.subarray(0, end), "x.tar", relaxed)).code).toBe("truncated");
  }
  const lost = flipped(whole, 5120 + 3);
  expect(errorOf(() => readInOrder(webdataset, lost, "x.tar", { badHeader: "resync" })).code).toBe("truncated");
  expect(readInOrder(webdataset, lost, "x.tar", relaxed)).toHaveLength(2);
});

test("a choice that there is not is refused with the nearest one", async () => {
  const { findDataset, openShard } = await import("../../src/readers/open.ts");
  const { format, shards } = await findDataset("fixtures/webdataset/ustar.tar");
  const given = { badHeader: "resink" as "resync" };
  expect(errorOf(() => openShard(format, shards[0]!, given))).toMatchObject({
    code: "usage",
    hint: "did you mean 'resync'?",
  });
});

test("an archive that kdata writes needs none of it", () => {
  const bytes = Buffer.concat([encodeTarGlobalHeader({ comment: "x" }), whole]);
  const ended = Buffer.concat([bytes, Buffer.alloc(tarEndSize(bytes.length))]);
  const log = new ToleratedLog();
  const all = Object.fromEntries(toleranceNames.map((name) => [name, toleranceChoices[name][1]]));
  expect(readInOrder(webdataset, ended, "x.tar", { ...all, onTolerated: log.add })).toHaveLength(4);
  expect(log.take()).toEqual([]);
});

function member(path: string, text: string): Uint8Array {
  const bytes = new Uint8Array(512 + tarPaddedSize(text.length));
  bytes.set(Buffer.from(text), writeTarMemberHeader(bytes, 0, path, text.length));
  return bytes;
}

function flipped(bytes: Uint8Array, byte: number): Uint8Array {
  const copy = new Uint8Array(bytes);
  copy[byte]! ^= 1;
  return copy;
}
