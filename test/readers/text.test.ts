import fc from "fast-check";
import { expect, test } from "vitest";
import type { JsonValue } from "../../src/core/sample.ts";
import { decodeUtf8, encodeJson, encodeUtf8, parseJson } from "../../src/readers/text.ts";
import { errorOf } from "./shards.ts";

const at = { source: "a.tar", record: 1, byte: 2 };

test("text comes back as it was, a byte order mark included", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(decodeUtf8(encodeUtf8(`\ufeff${text}`, "x"), "x", at)).toBe(`\ufeff${text}`);
    }),
  );
});

test("JSON comes back as it was, and a byte order mark before it is passed over", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (generated) => {
      // Minus zero is refused; see below.
      const value = JSON.parse(JSON.stringify(generated)) as JsonValue;
      expect(parseJson(encodeJson(value, "x"), "x", at)).toEqual(value);
      expect(parseJson(Buffer.concat([Buffer.from("\ufeff"), encodeJson(value, "x")]), "x", at)).toEqual(value);
    }),
  );
});

test("whole numbers that a float cannot hold are refused, but not those in strings or with a fraction", () => {
  expect(parseJson(Buffer.from("[9007199254740992, 1e300, 0.1234567890123456]"), "x", at)).toEqual([
    2 ** 53,
    1e300,
    0.1234567890123456,
  ]);
  expect(parseJson(Buffer.from('{"9007199254740993": "say \\"9007199254740993\\""}'), "x", at)).toEqual({
    "9007199254740993": 'say "9007199254740993"',
  });
  for (const text of ["9007199254740993", "[1, -9007199254740993]", '{"a": 18446744073709551615}']) {
    expect(errorOf(() => parseJson(Buffer.from(text), "x", at))).toMatchObject({ code: "unsupported", at });
  }
});

test("what is no UTF-8, no JSON or no JSON number is refused with the given beginning", () => {
  expect(errorOf(() => decodeUtf8(Uint8Array.of(0xc0, 0x80), "Cannot read it: a name", at)).message).toBe(
    "Cannot read it: a name is not UTF-8 (a.tar, record 1, byte 2)",
  );
  expect(errorOf(() => parseJson(Buffer.from("{"), "Cannot read it: a note", at)).message).toMatch(
    /^Cannot read it: a note is not JSON: .* \(a\.tar, record 1, byte 2\)$/,
  );
  expect(errorOf(() => encodeUtf8("a\udc00", "Cannot write it: x"))).toMatchObject({ code: "shape" });
  for (const value of [NaN, Infinity, -0]) {
    expect(errorOf(() => encodeJson({ a: [value] }, "Cannot write it: x"))).toMatchObject({ code: "shape" });
  }
});
