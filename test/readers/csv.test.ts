// What the fixtures do not show of delimited text: what is refused and where, types that depend on later rows, detection.

import { expect, test } from "vitest";
import { csv, tsv } from "../../src/readers/csv.ts";
import { errorOf, openBytes, readBackwards, readInOrder, readStream } from "./shards.ts";

interface Described {
  readonly key: string;
  readonly features: Record<string, { kind: string; dtype?: string; value?: string; data?: readonly unknown[] }>;
}

function read(text: string): readonly Described[] {
  return readInOrder(csv, Buffer.from(text), "a.csv") as Described[];
}

function typesOf(text: string): Record<string, string> {
  const [first] = read(text);
  const entries = Object.entries(first?.features ?? {});
  return Object.fromEntries(entries.map(([name, { kind, dtype }]) => [name, dtype ?? kind]));
}

function refusal(text: string | Uint8Array): readonly unknown[] {
  const bytes = typeof text === "string" ? Buffer.from(text) : text;
  const { code, reason, at } = errorOf(() => readInOrder(csv, bytes, "a.csv"));
  return [code, reason.replace("Cannot read csv: ", ""), at?.record, at?.byte];
}

test("a refusal names record and byte", () => {
  expect(refusal("a,b\n1,2\n3\n")).toEqual(["format", "the row has 1 field, the header has 2", 1, 8]);
  expect(refusal("a,b\n1,2\n\n")).toEqual(["format", "the line is empty, the header has 2", 1, 8]);
  expect(refusal('a,b\n1,2\n3,5" pipe\n')[1]).toContain("a quote stands inside a field");
  expect(refusal('a,b\n1,2\n3,5" pipe\n').slice(2)).toEqual([1, 11]);
  expect(refusal('a,b\n"1"x,2\n')).toEqual(["format", "text follows the quote that closes a field", 0, 7]);
  expect(refusal("a,b\r1,2\n")[1]).toContain("a line break stands inside a field");
  expect(refusal("a,a\n1,2\n")).toEqual(["format", 'two columns are named "a"', undefined, 0]);
  expect(refusal(Buffer.concat([Buffer.from("a,b\n1,é"), Uint8Array.of(0xc3), Buffer.from("\n")])).slice(2)).toEqual([
    0, 8,
  ]);
});

test("a file that ends inside a row is truncated, whether its last field could be whole or not", () => {
  expect(refusal('a,b\n1,"x\ny')).toEqual(["truncated", "the file ends inside a quoted field", 0, 10]);
  expect(refusal("a,b\n1,2\n3,4").slice(0, 1)).toEqual(["truncated"]);
  expect(refusal("a,b\n1,2\r").slice(0, 1)).toEqual(["format"]);
  expect(refusal("a,b")[0]).toBe("truncated");
  expect(refusal("")).toEqual(["truncated", "the file ends before its header", undefined, 0]);
  expect(read("a,b\n")).toEqual([]);
});

test("a column has the narrowest type that fits all its cells, wherever the deciding cell is", () => {
  expect(typesOf("x,y\n1,1\n2,2\n")).toEqual({ x: "int64", y: "int64" });
  expect(typesOf("x,y\n1,1\n2,0.5\n")).toEqual({ x: "int64", y: "float64" });
  expect(typesOf("x,y\n1,1\nnan,a\n")).toEqual({ x: "float64", y: "string" });
  expect(typesOf("x,y,z\n1,1,1\n007,,+1\n")).toEqual({ x: "string", y: "string", z: "string" });
  expect(typesOf("x,y\n-9223372036854775808,9223372036854775808\n1,1\n")).toEqual({ x: "int64", y: "float64" });
  // As a float the second cell would lose digits.
  expect(typesOf("x,y\n0.5,1\n9007199254740993,1\n")).toEqual({ x: "string", y: "int64" });
  expect(typesOf("x,y:string\n1,1\n2,2\n")).toEqual({ x: "int64", y: "string" });
});

test("types are the same in order, by number and through an index, and strings in a stream", async () => {
  const bytes = Buffer.from("x,y\n1,a\n2,b\n0.5,c\n");
  const inOrder = readInOrder(csv, bytes, "a.csv");
  expect(readBackwards(csv, bytes, "a.csv")).toEqual(inOrder);
  const index = openBytes(csv, bytes, "a.csv").index()!;
  expect(index.header).toEqual(["x:float64", "y:string"]);
  expect(readBackwards(csv, bytes, "a.csv", { index })).toEqual(inOrder);
  const [first] = (await readStream(csv, bytes, "a.csv", 3)) as Described[];
  expect(first?.features["x"]).toEqual({ kind: "string", value: "1" });
});

test("cells are held to the type that the header says", () => {
  expect(refusal("x:uint8,y:string\n1,a\n256,b\n")).toEqual(["format", '"256" in column "x" is no uint8', 1, 21]);
  for (const [type, cell] of [
    ["int64", ""],
    ["int64", "1.0"],
    ["int64", "9223372036854775808"],
    ["float32", "1e39"],
    ["float64", "0x1"],
    ["bool", "1"],
    ['"uint8[2]"', "1"],
    ['"uint8[2]"', "1 2 3"],
    ['"uint8[99999999,99999999]"', "1"],
    ["bytes", "AP8"],
    ["json", "{a:1}"],
    ["json", "9007199254740993"],
    ["float16", "0.5"],
  ]) {
    expect(refusal(`x:${type},y:string\n${cell},a\n`.replace(/x:"/, '"x:'))[0], `${type} ${cell}`).toBe("format");
  }
});

test("rows and headers longer than their limits are refused", () => {
  const limits = { recordBytes: 20, headerBytes: 10 };
  const codeOf = (text: string) => errorOf(() => readInOrder(csv, Buffer.from(text), "a", { limits })).code;
  expect(codeOf(`a,b\n1,${"2".repeat(30)}\n`)).toBe("limit");
  expect(codeOf(`a,b\n1,"${"2\n".repeat(30)}"\n`)).toBe("limit");
  expect(codeOf(`a,${"b".repeat(30)}\n1,2\n`)).toBe("limit");
});

test("an index of another file is refused", () => {
  const index = openBytes(csv, Buffer.from("a,b\n1,2\n"), "a").index()!;
  expect(errorOf(() => openBytes(csv, Buffer.from("a,b\n1,23\n4,5\n"), "a", { index }).read(0)).code).toBe("state");
});

test("detection is strict: rows as long as the header, text, no prose", () => {
  const found = (text: string | Uint8Array) => {
    return [csv, tsv].filter((format) => format.detect(Buffer.from(text))).map(({ name }) => name);
  };
  expect(found("a,b\n1,2\n")).toEqual(["csv"]);
  expect(found("a\tb\n1\t2\n")).toEqual(["tsv"]);
  expect(found('a,b\r\n"x\r\ny",2\r\n"cut')).toEqual(["csv"]);
  expect(
    found(
      Array.from({ length: 785 }, (_, column) => `pixel${column}`)
        .join(",")
        .slice(0, 4096),
    ),
  ).toEqual(["csv"]);
  expect(found("x:int64\n1\n")).toEqual(["csv", "tsv"]);
  expect(found("a:int64\tb:string\n")).toEqual(["tsv"]);
  for (const text of [
    "",
    "a\n1\n",
    "a,b\n",
    "a,b\n1\n",
    "Hello, world\nfoo, bar\n",
    '{"a":1,"b":2}\n{"a":1,"b":2}\n',
    "a,a\n1,2\n",
    "a,b\n\0,2\n",
    "no comma at all",
    Uint8Array.of(0x61, 0x2c, 0xff, 0x0a, 0x61, 0x2c, 0x62, 0x0a),
  ]) {
    expect(found(text), JSON.stringify(text)).toEqual([]);
  }
});
