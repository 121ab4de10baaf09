// What goes from one format to another and back is the same in every bit, or is refused for a reason that is written down.

import fc from "fast-check";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";

import { convert } from "../../src/convert/index.ts";
import { KdataError } from "../../src/core/errors.ts";
import type { Sample } from "../../src/core/sample.ts";
import { dtypes, tensor, viewElements } from "../../src/core/tensor.ts";
import { findDataset, openShard } from "../../src/readers/open.ts";
import { writableFormats, type WritableFormat, type WrittenShard } from "../../src/writers/index.ts";
import { anyRows, anySample, plain, sampleOf } from "../writers/samples.ts";

const delimitedRefusals = new RegExp(
  [
    /a reserved name|is a list|without features|is missing|is not in sample|, but .* in sample/,
    /half a surrogate pair|JSON text cannot hold/,
  ]
    .map(({ source }) => source)
    .join("|"),
);

/** Why a format may refuse a sample. */
const refusals: Readonly<Record<string, RegExp>> = {
  tfrecord: /a reserved name|half a surrogate pair|cannot hold/,
  webdataset: new RegExp(
    [
      /a list|holds no bfloat16|without features|in this shard already|would both be the member|in an earlier sample/,
      /no relative path|no member name can have|would not find the key|half a surrogate pair|JSON text cannot hold/,
    ]
      .map(({ source }) => source)
      .join("|"),
  ),
  npy: rowRefusals("NPY"),
  npz: rowRefusals("NPY"),
  safetensors: rowRefusals("safetensors"),
  csv: delimitedRefusals,
  tsv: delimitedRefusals,
  jsonl: /a reserved name|JSON text cannot hold/,
  parquet: /a reserved name|half a surrogate pair|JSON text cannot hold|, but .* in sample/,
};

/** Why a format whose samples are rows of arrays may refuse one. */
function rowRefusals(title: string): RegExp {
  const reasons = [
    `${title} has no array|without features|cannot be named so|is missing|is not in sample|, but .* in sample`,
    "ends in NUL|half a surrogate pair",
  ];
  return new RegExp(reasons.join("|"));
}

const root = mkdtempSync(join(tmpdir(), "kdata-round-trip-"));
let runs = 0;
const freshDirectory = () => join(root, String(runs++));
afterAll(() => {
  rmSync(root, { recursive: true });
});

describe.each(writableFormats)("$name", (format) => {
  it("gives back every bit of what it takes, and refuses the rest for a documented reason", async () => {
    const outcomes = { kept: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(fc.oneof(anyRows, fc.array(anySample, { minLength: 1, maxLength: 3 })), async (samples) => {
        const written = tryWrite(format, samples);
        outcomes[written ? "kept" : "refused"]++;
        if (written) expect(await readBack(written)).toEqual(samples.map(plain));
      }),
      { numRuns: 150 },
    );
    expect(outcomes.kept).toBeGreaterThan(0);
    expect(outcomes.refused).toBeGreaterThan(0);
  });

  it.each(writableFormats.filter(({ name }) => name !== format.name))(
    "comes back from $name with every bit and in the same bytes",
    async (other) => {
      let kept = 0;
      await fc.assert(
        fc.asyncProperty(anyRows, async (samples) => {
          const first = tryWrite(format, samples);
          if (!first) return;
          const there = await tryConvert(first, other);
          if (!there) return;
          const back = await convert(pathsOf(there), { to: format.name, output: freshDirectory(), name: "made" });
          kept++;
          expect(await readBack(back.shards[0]!)).toEqual(samples.map(plain));
          expect(pathsOf(back.shards[0]!).map(digest)).toEqual(pathsOf(first).map(digest));
        }),
        { numRuns: 20 },
      );
      expect(kept).toBeGreaterThan(0);
    },
  );

  it("holds everything that the data sets of the field are made of", async () => {
    const samples = [sampleOf("made/0", typical(0)), sampleOf("made/1", typical(1)), sampleOf("made/2", typical(2))];
    for (const other of writableFormats) {
      const first = tryWrite(format, samples);
      const there = await tryConvert(first!, other);
      expect(await readBack(there!)).toEqual(samples.map(plain));
    }
  });
});

/** Features that every format holds: all dtypes but bfloat16, NaN payloads, extreme integers, text, bytes, empty tensors. */
function typical(row: number) {
  const bits = Uint8Array.from([0, 0, 192, 127, 1, 0, 160, 127, 0, 0, 0, 128, row, 0, 0, 0]);
  const everyDtype = dtypes
    .filter((dtype) => dtype !== "bfloat16" && dtype !== "bool")
    .map((dtype) => {
      const data = viewElements(
        dtype,
        bits.slice().buffer,
        0,
        16 / viewElements(dtype, bits.buffer, 0, 0).BYTES_PER_ELEMENT,
      );
      return [`all_${dtype}`, { dtype, shape: [data.length], data }] as const;
    });
  return {
    ...Object.fromEntries(everyDtype),
    image: tensor("uint8", [2, 2, 1], Uint8Array.of(0, 255, row, 7)),
    label: tensor("uint8", [], Uint8Array.of(row)),
    id: tensor("int64", [], BigInt64Array.of(-(2n ** 63n) + BigInt(row))),
    flags: tensor("bool", [2], Uint8Array.of(1, 0)),
    empty: tensor("float32", [0, 3], new Float32Array(0)),
    "input/caption": ["", "two words", "\ufeff図"][row]!,
    "input/raw": Uint8Array.of(0, row, 0),
  };
}

function tryWrite(format: WritableFormat, samples: readonly Sample[]): WrittenShard | undefined {
  const writer = format.create(join(freshDirectory(), "made"));
  try {
    for (const sample of samples) writer.write(sample);
    return writer.finish();
  } catch (error) {
    writer.abort();
    expectRefusal(error, format);
    return undefined;
  }
}

async function tryConvert(from: WrittenShard, to: WritableFormat): Promise<WrittenShard | undefined> {
  try {
    const report = await convert(pathsOf(from), { to: to.name, output: freshDirectory() });
    return report.shards[0];
  } catch (error) {
    expectRefusal(error, to);
    return undefined;
  }
}

function expectRefusal(error: unknown, format: WritableFormat): void {
  if (!(error instanceof KdataError)) throw error;
  expect([error.code, error.message]).toEqual(["shape", expect.stringMatching(refusals[format.name]!)]);
}

async function readBack(shard: WrittenShard): Promise<unknown[]> {
  const { format, shards } = await findDataset(pathsOf(shard));
  expect(shards).toHaveLength(1);
  const reader = openShard(format, shards[0]!);
  const samples = Array.from(reader.samples(), plain);
  reader.close();
  return samples;
}

function pathsOf(shard: WrittenShard): string[] {
  return shard.files.map(({ path }) => path);
}

function digest(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
