import { expect, test } from "vitest";
import { KdataError } from "../../src/core/errors.ts";
import { packError, unpackError } from "../../src/core/packed-error.ts";

/** What a thread boundary does to plain data. */
function cross(error: unknown): Error {
  return unpackError(structuredClone(packError(error)));
}

test("a KdataError keeps class, code, reason, position, hint, stack and the text of its cause", () => {
  const error = new KdataError("checksum", "Cannot read", {
    at: { source: "a.tfrecord", record: 3, byte: 0 },
    hint: "copy it again",
    cause: new RangeError("out of bounds"),
  });
  const crossed = cross(error);
  expect(crossed).toBeInstanceOf(KdataError);
  expect(crossed).toMatchObject({
    code: "checksum",
    reason: "Cannot read",
    message: error.message,
    at: { source: "a.tfrecord", record: 3, byte: 0 },
    hint: "copy it again",
    cause: "RangeError: out of bounds",
    stack: error.stack,
  });
});

test("a KdataError without position, hint and cause gets none", () => {
  const crossed = cross(new KdataError("shape", "Cannot collate"));
  expect(crossed).toMatchObject({ at: undefined, hint: undefined, message: "Cannot collate" });
  expect(Object.hasOwn(crossed, "cause")).toBe(false);
});

test.each([RangeError, TypeError])("a programmer's mistake keeps its class (%o)", (Mistake) => {
  expect(cross(new Mistake("no such record"))).toEqual(new Mistake("no such record"));
});

test("anything else becomes a `worker` error that says what it was", () => {
  expect(cross(new SyntaxError("bad token"))).toMatchObject({
    code: "worker",
    reason: "a worker thread failed: SyntaxError: bad token",
  });
  expect(cross("text")).toMatchObject({ code: "worker", reason: "a worker thread failed: Error: text" });
});
