import { expect, test } from "vitest";
import { KdataError, formatPosition } from "../../src/core/errors.ts";

test("a KdataError says its position in the message and keeps the reason without it", () => {
  const error = new KdataError("checksum", "Cannot read tfrecord: the data checksum does not match", {
    at: { source: "a.tfrecord", record: 17, byte: 9216 },
  });
  expect(error.message).toBe(
    "Cannot read tfrecord: the data checksum does not match (a.tfrecord, record 17, byte 9216)",
  );
  expect(error.reason).toBe("Cannot read tfrecord: the data checksum does not match");
  expect(error).toBeInstanceOf(Error);
  expect(error.name).toBe("KdataError");
});

test("a KdataError without position, hint and cause has none", () => {
  const error = new KdataError("usage", "Cannot load");
  expect(error.message).toBe("Cannot load");
  expect(error.at).toBeUndefined();
  expect(error.hint).toBeUndefined();
  expect(Object.hasOwn(error, "cause")).toBe(false);
});

test("formatPosition() leaves out what is not known, and keeps the zero", () => {
  expect(formatPosition({ source: "a" })).toBe("a");
  expect(formatPosition({ source: "a", record: 0 })).toBe("a, record 0");
  expect(formatPosition({ source: "a", byte: 0 })).toBe("a, byte 0");
});
