import fc from "fast-check";
import { expect, test } from "vitest";
import { KdataError } from "../../src/core/errors.ts";
import { JsonScanner } from "../../src/readers/json-scanner.ts";
import { errorOf } from "./shards.ts";

const scanner = new JsonScanner((code, reason, index) => {
  return new KdataError(code, reason, { at: { source: "text", byte: index } });
});

function parse(text: string): unknown {
  scanner.begin(text);
  const value = scanner.value();
  scanner.end();
  return value;
}

function numbersOf(text: string): unknown {
  scanner.begin(text);
  return scanner.numbers();
}

test("values are what JSON.parse gives, however they are laid out", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(0, 1, "\t"), (value, indent) => {
      const text = JSON.stringify(value, undefined, indent);
      expect(parse(text)).toEqual(JSON.parse(text));
    }),
  );
});

test("text that JSON.parse refuses is refused, and no other", () => {
  const pieces = fc.constantFrom(
    ...'{}[],:"\\ \t0123-+.eE'.split(""),
    ...[
      "true",
      "false",
      "null",
      "nul",
      '"a"',
      '"\\u00e9"',
      '"\\x"',
      "01",
      "1.",
      ".5",
      "-",
      "1e5",
      "NaN",
      "\u0001",
      "é",
    ],
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 8 }), (parts) => {
      const text = parts.join("");
      let expected: unknown;
      try {
        expected = JSON.parse(text);
      } catch (error) {
        expect(error).toBeInstanceOf(SyntaxError);
        expect(errorOf(() => parse(text)).at?.byte).toBeLessThanOrEqual(text.length);
        return;
      }
      // Numbers that are not exact and names that come twice are the next tests' matter.
      try {
        expect(parse(text)).toEqual(expected);
      } catch (error) {
        expect(error instanceof KdataError && error.reason).toMatch(/beyond the range|not exact|comes twice/);
      }
    }),
    { numRuns: 3000 },
  );
});

test("names are what they are in each object, whatever the names were in the one before", () => {
  const names = fc.constantFrom("a", "ab", "abc", "b", "", 'q"', "s\\", "é", "__proto__x");
  const object = fc.dictionary(names, fc.oneof(fc.constant(1), fc.dictionary(names, fc.constant(true))), {
    noNullPrototype: true,
  });
  fc.assert(
    fc.property(fc.array(object, { minLength: 2, maxLength: 4 }), (objects) => {
      for (const each of objects) expect(parse(JSON.stringify(each))).toEqual(each);
      expect(parse(JSON.stringify(objects))).toEqual(objects);
    }),
  );
});

test("names that come twice are refused at any depth, and __proto__ is a name like any other", () => {
  expect(errorOf(() => parse('{"a":{"b":1,"b":2}}')).reason).toContain("comes twice");
  expect(errorOf(() => parse('{"__proto__":1,"__proto__":2}')).reason).toContain("comes twice");
  expect(Object.entries(parse('{"__proto__":{"x":1}}') as object)).toEqual([["__proto__", { x: 1 }]]);
});

test("numbers that a 64-bit float would change are refused", () => {
  expect(parse("[9007199254740992, 1e300]")).toEqual([2 ** 53, 1e300]);
  expect(errorOf(() => parse('{"a":9007199254740993}'))).toMatchObject({ code: "unsupported", at: { byte: 5 } });
  expect(errorOf(() => parse("[1e400]"))).toMatchObject({ code: "unsupported", at: { byte: 1 } });
});

test("numbers() takes regular arrays of one kind with all their digits, and nothing of anything else", () => {
  expect(numbersOf("9223372036854775807")).toEqual({ kind: "int", shape: [], values: [2n ** 63n - 1n] });
  expect(numbersOf("[[1, 2.0], [3, 4]]")).toEqual({ kind: "float", shape: [2, 2], values: [1, 2, 3, 4] });
  expect(numbersOf("[[[true]],[[false]]]")).toEqual({ kind: "bool", shape: [2, 1, 1], values: [1, 0] });
  for (const text of [
    "[]",
    "[[]]",
    "[1,[2]]",
    "[[1],2]",
    "[[1],[2,3]]",
    "[1,true]",
    '[1,"a"]',
    "[null]",
    '"a"',
    "{}",
  ]) {
    expect(numbersOf(text)).toBeUndefined();
    // The place is the same as before.
    expect(scanner.value()).toEqual(JSON.parse(text));
  }
  expect(numbersOf("9223372036854775808")).toBeUndefined();
});

test("nesting is held to a limit, in values and in numbers", () => {
  const deep = (depth: number) => "[".repeat(depth) + "1" + "]".repeat(depth);
  expect(parse(deep(250))).toEqual(JSON.parse(deep(250)));
  expect(errorOf(() => parse(deep(300))).code).toBe("limit");
  expect(numbersOf(deep(100_000))).toBeUndefined();
});
