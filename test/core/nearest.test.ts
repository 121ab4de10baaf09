import { describe, expect, it } from "vitest";

import { nearestName } from "../../src/core/nearest.ts";

describe("nearestName()", () => {
  const formats = ["tfrecord", "webdataset", "npy", "idx"];

  it("finds the name that a few wrong, missing or swapped characters hide", () => {
    expect(nearestName("tfrecrod", formats)).toBe("tfrecord");
    expect(nearestName("TFRecords", formats)).toBe("tfrecord");
    expect(nearestName("webdatset", formats)).toBe("webdataset");
    expect(nearestName("np", formats)).toBe("npy");
  });

  it("finds nothing when no name is close", () => {
    expect(nearestName("parquet", formats)).toBeUndefined();
    expect(nearestName("", formats)).toBeUndefined();
    expect(nearestName("npy", [])).toBeUndefined();
  });
});
