import { readFileSync, readdirSync } from "node:fs";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Sample } from "../../src/core/sample.ts";
import { dtypes } from "../../src/core/tensor.ts";
import type { ReadOptions, ShardReader } from "../../src/readers/format.ts";
import { formatNpyHeader, npyDescrOf, npyHeaderSize, parseNpyHeader } from "../../src/readers/npy-header.ts";
import { npy, parseNpy } from "../../src/readers/npy.ts";
import { MemorySource } from "../../src/readers/source-memory.ts";
import { errorOf } from "./shards.ts";

const folder = "fixtures/npy";
const at = { source: "a.npy" };
const limits = { headerBytes: 1 << 16 };

function open(files: Readonly<Record<string, Uint8Array>>, options?: ReadOptions): ShardReader {
  return npy.open(
    Object.entries(files).map(([name, bytes]) => new MemorySource(name, bytes)),
    options,
  );
}

/** A version 1.0 file with this dictionary. */
function npyFile(dictionary: string, data: Uint8Array = new Uint8Array(0)): Uint8Array {
  const length = Buffer.alloc(2);
  length.writeUInt16LE(dictionary.length);
  return Buffer.concat([Buffer.from("\x93NUMPY\x01\x00", "latin1"), length, Buffer.from(dictionary, "latin1"), data]);
}

function arrayFile(descr: string, shape: string, data?: Uint8Array): Uint8Array {
  return npyFile(`{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }\n`, data);
}

function readAll(reader: ShardReader): Sample[] {
  return Array.from(reader.samples());
}

describe("the header", () => {
  test.each([
    ["little-endian/all.f4.npy", "float32", [3, 2, 2]],
    ["little-endian/all.bool.npy", "bool", [3, 2, 2]],
    ["little-endian/all.u8.npy", "uint64", [3, 2, 2]],
    ["texts/train-00000.text.npy", "<U9", [3]],
    ["texts/train-00000.raw.npy", "|V5", [3]],
    ["no-rows/x.npy", "float32", [0, 3]],
    ["labels.npy", "int64", [3]],
  ] as const)("of %s is formatted as numpy did, byte by byte", (file, type, shape) => {
    const bytes = readFileSync(`${folder}/${file}`);
    const header = bytes.subarray(0, 128);
    expect(Buffer.from(formatNpyHeader(type, shape)).toString("latin1")).toBe(header.toString("latin1"));
  });

  test("has one length for any number of rows, so that it can be completed when all are written", () => {
    const lengths = [0, 1, 60_000, Number.MAX_SAFE_INTEGER].map(
      (rows) => formatNpyHeader("uint8", [rows, 28, 28]).length,
    );
    expect(new Set(lengths).size).toBe(1);
  });

  test("that is formatted parses as what it was, for every dtype and shape", () => {
    const types = dtypes.filter((dtype) => npyDescrOf(dtype) !== undefined);
    const shapes = fc.array(fc.nat(1000), { maxLength: 5 });
    fc.assert(
      fc.property(fc.constantFrom(...types), shapes, (dtype, shape) => {
        const bytes = formatNpyHeader(dtype, shape);
        expect(bytes.length % 64).toBe(0);
        expect(npyHeaderSize(bytes.subarray(0, 12), limits, at)).toBe(bytes.length);
        const header = parseNpyHeader(bytes, at);
        expect(header).toMatchObject({ element: { kind: "tensor", dtype }, shape, fortranOrder: false });
      }),
    );
  });

  test("of bfloat16 is refused: numpy has none", () => {
    expect(npyDescrOf("bfloat16")).toBeUndefined();
    expect(() => formatNpyHeader("bfloat16", [1])).toThrow(RangeError);
  });

  test.each([
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1, }", "unknown"],
    ["{'descr': '<f4', 'descr': '<f4', 'fortran_order': False, 'shape': (1,), }", "twice"],
    ["{'descr': '<f4', 'shape': (1,), }", "lacks"],
    ["{'descr': '<f4', 'fortran_order': 0, 'shape': (1,), }", "neither True nor False"],
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (1), }", "tuple"],
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (-1,), }", "size"],
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (01,), }", "size"],
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (1,) } #", "follows"],
    ["{'descr': '<f4', 'fortran_order': False, 'shape': (1,)", "}"],
    ["{'descr': '<f5', 'fortran_order': False, 'shape': (1,), }", "none of numpy's"],
    ["{'descr': '=f4', 'fortran_order': False, 'shape': (1,), }", "none of numpy's"],
    ["{'descr': '|f4', 'fortran_order': False, 'shape': (1,), }", "none of numpy's"],
    ["{'descr': '<f4\\'', 'fortran_order': False, 'shape': (1,), }", "plain text"],
    [`{'descr': '${"<".repeat(1000)}', 'fortran_order': False, 'shape': (1,), }`, "plain text"],
    ["", "{"],
  ])("%s is refused", (dictionary, reason) => {
    const error = errorOf(() => open({ "a.npy": npyFile(`${dictionary}\n`, new Uint8Array(4)) }));
    expect(error).toMatchObject({ code: "format", at: { source: "a.npy" } });
    expect(error.reason).toContain(reason);
    expect(error.at?.byte).toBeTypeOf("number");
  });

  test("without the line feed at its end is refused: its bytes may have moved into the data", () => {
    const text = "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), } ";
    const error = errorOf(() => open({ "a.npy": npyFile(text, Uint8Array.of(0x0a, 0, 0, 0)) }));
    expect(error).toMatchObject({ code: "format", at: { source: "a.npy", byte: 10 + text.length - 1 } });
    expect(error.reason).toContain("line feed");
  });

  test("with strange but valid white space and quotes is read", () => {
    const text = '\t{ "shape" : ( 2 ,1 ,) ,\r\n"fortran_order":True,"descr":"|i1"}  \n';
    const [first, second] = Array.from(
      open({ "x.npy": npyFile(text, Uint8Array.of(7, 8)) }).samples(),
      ({ features }) => {
        return features["x"];
      },
    );
    expect([first, second]).toMatchObject([{ shape: [1] }, { shape: [1] }]);
  });
});

describe("arrays that numpy writes and no feature can hold", () => {
  const reasons: Readonly<Record<string, string>> = {
    "objects.npy": "pickles",
    "structure-of-objects.npy": "pickles",
    "structure-of-dates.npy": "dates",
    "structure-of-nothing.npy": "without fields",
    "complex-long-doubles.npy": "long doubles",
    "dates.npy": "dates",
    "spans.npy": "time spans",
    "long-doubles.npy": "long doubles",
    "scalar.npy": "no axes",
  };

  test.each(readdirSync(`${folder}/refused`))("%s is refused with the reason", (file) => {
    const error = errorOf(() => open({ [file]: readFileSync(`${folder}/refused/${file}`) }));
    expect(error).toMatchObject({ code: "unsupported", at: { source: file } });
    expect(error.message).toContain(reasons[file]!);
  });
});

describe("a structured array", () => {
  const structured = (descr: string, shape: string, data?: Uint8Array) =>
    npyFile(`{'descr': ${descr}, 'fortran_order': False, 'shape': ${shape}, }\n`, data);

  test("gives a feature for each field, and names record and byte of what is wrong in one", () => {
    const bytes = structured(
      "[('ok', '|b1'), ('', '|V1'), ('at', [('n', '|u1')], (2,))]",
      "(2,)",
      Uint8Array.of(1, 0, 9, 8, 2, 9, 7, 6),
    );
    const reader = open({ "a.npy": bytes });
    expect(reader.read(0).features).toMatchObject({
      "a.ok": { dtype: "bool", shape: [], data: Uint8Array.of(1) },
      "a.at.n": { dtype: "uint8", shape: [2], data: Uint8Array.of(9, 8) },
    });
    expect(errorOf(() => reader.read(1))).toMatchObject({
      code: "format",
      at: { source: "a.npy", record: 1, byte: bytes.length - 4 },
    });
  });

  test("reads the escapes of Python's names", () => {
    const bytes = structured(String.raw`[('a\'\\\n\xe9\u56fe\U0001f600', '|u1')]`, "(1,)", Uint8Array.of(1));
    expect(Object.keys(open({ "x.npy": bytes }).read(0).features)).toEqual(["x.a'\\\né图😀"]);
  });

  test.each([
    ["[('', '<i4')]", "format", "no name"],
    ["[('', [('x', '<i4')])]", "format", "no name"],
    [String.raw`[('\q', '<i4')]`, "format", "escape"],
    ["[('x, '<i4')]", "format", "where it must"],
    ["[('x', '<i4'", "format", ")"],
    ['[("x', "format", "does not end"],
    ["[('x', '|u1'), ('x', '|u1')]", "shape", "two arrays"],
    ["[('x', '<f16')]", "unsupported", "long doubles"],
    ["[('x', '|O')]", "unsupported", "pickles"],
    [`${"[('x', ".repeat(40)}'|u1'${")]".repeat(40)}`, "limit", "nested"],
    ["[('x', '|V9999999999', (9999999, 9999999))]", "limit", "counted"],
    ["[('x', [('y', '|u1')], (999999999, 9))]", "limit", "exceeds"],
  ] as const)("%s is refused", (descr, code, reason) => {
    const before = process.memoryUsage().arrayBuffers;
    const error = errorOf(() => open({ "a.npy": structured(descr, "(0,)") }));
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(reason)]);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  });

  test("may have a name as long as a header", () => {
    const name = "x".repeat(60_000);
    expect(
      Object.keys(open({ "a.npy": structured(`[('${name}', '|u1')]`, "(1,)", Uint8Array.of(1)) }).read(0).features),
    ).toEqual([`a.${name}`]);
  });

  test("is no tensor in an archive of members", () => {
    const bytes = structured("[('x', '|u1')]", "(1,)", Uint8Array.of(1));
    expect(errorOf(() => parseNpy(bytes, at))).toMatchObject({ code: "unsupported" });
  });
});

describe("a damaged file", () => {
  const labels = readFileSync(`${folder}/labels.npy`);

  test("that ends early is truncated where it ends", () => {
    const error = errorOf(() => open({ "labels.npy": labels.subarray(0, labels.length - 3) }));
    expect(error).toMatchObject({ code: "truncated", at: { source: "labels.npy", byte: labels.length - 3 } });
  });

  test("with bytes after the array is refused where they begin", () => {
    const error = errorOf(() => open({ "labels.npy": Buffer.concat([labels, labels]) }));
    expect(error).toMatchObject({ code: "format", at: { source: "labels.npy", byte: labels.length } });
  });

  test("with a bool that is neither 0 nor 1 names record and byte", () => {
    const bytes = arrayFile("|b1", "(3, 2)", Uint8Array.of(0, 1, 1, 0, 0, 2));
    const reader = open({ "mask.npy": bytes });
    expect(reader.read(1).features["mask"]).toMatchObject({ dtype: "bool", shape: [2] });
    const expected = { code: "format", at: { source: "mask.npy", record: 2, byte: bytes.length - 1 } };
    expect(errorOf(() => reader.read(2))).toMatchObject(expected);
    expect(errorOf(() => readAll(reader))).toMatchObject(expected);
    expect(errorOf(() => parseNpy(bytes, { source: "a.tar", byte: 512 }))).toMatchObject({
      at: { source: "a.tar", byte: 512 + bytes.length - 1 },
    });
  });

  test.each([0xd800, 0x110000, 0xffffffff])("with the number %i for a character names record and byte", (point) => {
    const bytes = arrayFile("<U2", "(2,)", new Uint8Array(Uint32Array.of(65, 0, 66, point).buffer));
    const error = errorOf(() => readAll(open({ "text.npy": bytes })));
    expect(error).toMatchObject({ code: "format", at: { source: "text.npy", record: 1, byte: bytes.length - 4 } });
  });
});

describe("a header that claims too much is refused before anything is allocated", () => {
  test.each([
    ["<f8", "(9007199254740991,)", "truncated"],
    ["<f8", "(99999999, 99999999, 99999999)", "limit"],
    ["<f8", "(99999999999999999999999999,)", "limit"],
    ["|V9999999999", "(9007199254740991,)", "truncated"],
    ["<U9999999999", "(0, 9007199254740991)", "limit"],
    ["|V0", "(9007199254740991,)", "limit"],
    ["<f4", `(${"1, ".repeat(100)})`, "format"],
  ] as const)("%s %s", (descr, shape, code) => {
    const before = process.memoryUsage().arrayBuffers;
    expect(errorOf(() => open({ "a.npy": arrayFile(descr, shape) }))).toMatchObject({ code });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  });

  test("a header longer than the limit", () => {
    const bytes = Buffer.from("\x93NUMPY\x02\x00\xff\xff\xff\xff{", "latin1");
    expect(errorOf(() => open({ "a.npy": bytes }))).toMatchObject({ code: "limit", at: { source: "a.npy", byte: 8 } });
  });

  test("a row longer than the limit", () => {
    const bytes = arrayFile("<f8", "(1, 10)", new Uint8Array(80));
    expect(open({ "a.npy": bytes }, { limits: { recordBytes: 80 } }).count()).toBe(1);
    expect(errorOf(() => open({ "a.npy": bytes }, { limits: { recordBytes: 79 } }))).toMatchObject({ code: "limit" });
  });

  test("a column-major array larger than what may be held in memory", () => {
    const bytes = readFileSync(`${folder}/column-major/x.npy`);
    const options = { limits: { inflatedBytes: 239 } };
    expect(errorOf(() => open({ "x.npy": bytes }, options))).toMatchObject({ code: "limit" });
  });
});

describe("several arrays", () => {
  const three = arrayFile("|u1", "(3,)", Uint8Array.of(1, 2, 3));
  const two = arrayFile("|u1", "(2,)", Uint8Array.of(1, 2));

  test("of different length are refused with both names", () => {
    const error = errorOf(() => open({ "d/x.npy": three, "d/y.npy": two }));
    expect(error).toMatchObject({ code: "shape", at: { source: "d" } });
    expect(error.reason).toContain('"x" has 3 rows, "y" has 2');
  });

  test("of one name are refused", () => {
    const error = errorOf(() => open({ "a/x.npy": three, "b/x.npy": three }));
    expect(error).toMatchObject({ code: "shape" });
    expect(error.reason).toContain('"x"');
  });

  test("with keys that are not strings are refused", () => {
    const error = errorOf(() => open({ "t.x.npy": three, "t.__key__.npy": three }));
    expect(error).toMatchObject({ code: "format", at: { source: "t" } });
  });

  test("are read one row at a time by number, and ahead in order, also when they are larger than a block", () => {
    const rows = 5000;
    const data = new Uint32Array(rows * 100).map((_, index) => index);
    const reader = open({ "big.npy": arrayFile("<u4", `(${rows}, 100)`, new Uint8Array(data.buffer)) });
    const firsts = [4999, 0, 2500, 1, 4998].map(
      (row) => (reader.read(row).features["big"] as { data: Uint32Array }).data[0],
    );
    expect(firsts).toEqual([499900, 0, 250000, 100, 499800]);
    let row = 0;
    for (const { features } of reader.samples()) {
      const { data: values } = features["big"] as { data: Uint32Array };
      expect([values[0], values[99]]).toEqual([row * 100, row * 100 + 99]);
      row++;
    }
    expect(row).toBe(rows);
  });
});

describe("parseNpy()", () => {
  test("views what lies as the machine has it, and copies what does not", () => {
    const plain = arrayFile("<f4", "(1, 2)", new Uint8Array(Float32Array.of(1.5, -2).buffer));
    for (const shift of [0, 1, 2, 3, 4]) {
      const memory = new Uint8Array(plain.length + shift);
      memory.set(plain, shift);
      const { dtype, shape, data } = parseNpy(memory.subarray(shift), at);
      expect({ dtype, shape, data }).toEqual({ dtype: "float32", shape: [1, 2], data: Float32Array.of(1.5, -2) });
      const isAligned = (memory.byteOffset + memory.length - 8) % 4 === 0;
      expect(data.buffer === memory.buffer).toBe(isAligned);
    }
  });

  test("gives a scalar the shape []", () => {
    const bytes = readFileSync(`${folder}/refused/scalar.npy`);
    expect(parseNpy(bytes, at)).toEqual({ dtype: "int32", shape: [], data: Int32Array.of(3) });
  });

  test("brings other byte and axis orders into those of the machine", () => {
    const { shape, data } = parseNpy(readFileSync(`${folder}/column-major/y.npy`), at);
    expect(shape).toEqual([3, 2, 2, 3]);
    expect(data).toEqual(new Int16Array(36).map((_, index) => index));
  });

  test("refuses strings, opaque bytes and pickles", () => {
    for (const file of ["texts/train-00000.text.npy", "texts/train-00000.raw.npy", "refused/objects.npy"]) {
      const error = errorOf(() =>
        parseNpy(readFileSync(`${folder}/${file}`), { source: "a.tar", record: 3, byte: 512 }),
      );
      expect(error).toMatchObject({ code: "unsupported", at: { source: "a.tar", record: 3 } });
    }
  });
});

describe("names", () => {
  const one = arrayFile("|u1", "(1,)", Uint8Array.of(1));

  test.each<[string[], [string, string[]][]]>([
    [
      ["d/a.x.npy", "d/b.x.npy", "d/a.y.npy"],
      [
        ["d/a", ["x", "y"]],
        ["d/b", ["x"]],
      ],
    ],
    [
      ["x-00000.npy", "y-00000.npy", "x-00001.npy", "y-00001.npy"],
      [
        ["00000", ["x", "y"]],
        ["00001", ["x", "y"]],
      ],
    ],
    [["d/x_3-of-12.npy"], [["d/x_3-of-12.npy", ["x"]]]],
    [
      ["d/x.npy", "d/y.npy", "e/x.npy"],
      [
        ["d", ["x", "y"]],
        ["e/x.npy", ["x"]],
      ],
    ],
    [["d/a.b%2Fc%20d.npy", "d/a.100%.npy", "d/a.%FF.npy"], [["d/a", ["b/c d", "100%", "%FF"]]]],
    [["d/my.shard.image.npy"], [["d/my.shard", ["image"]]]],
  ])("%j make shards and features", (paths, shards) => {
    const found = npy.group!(paths).map(({ paths: files }) => {
      const reader = open(Object.fromEntries(files.map((path) => [path, one])));
      return [reader.source, Object.keys(reader.read(0).features)];
    });
    expect(found).toEqual(shards);
    expect(npy.group!(paths).map(({ name }) => name)).toEqual(shards.map(([name]) => name));
  });

  test("of the working directory is its own, not a dot", () => {
    expect(npy.group!(["x.npy", "y.npy"])[0]!.name).toBe(process.cwd());
  });
});
