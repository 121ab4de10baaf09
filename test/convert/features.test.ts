import { describe, expect, it } from "vitest";

import { featureMap } from "../../src/convert/features.ts";
import { KdataError } from "../../src/core/errors.ts";
import { tensor } from "../../src/core/tensor.ts";
import { sampleOf } from "../writers/samples.ts";

const sample = sampleOf("a", { image: Uint8Array.of(1), label: "seven", meta: { json: null } });
const namesOf = (options: Parameters<typeof featureMap>[0]) => Object.keys(featureMap(options)(sample).features);

describe("featureMap()", () => {
  it("changes nothing without options", () => {
    expect(featureMap({})(sample)).toBe(sample);
  });

  it("keeps, leaves out and renames features in the order of the sample", () => {
    expect(namesOf({ select: ["label", "image"] })).toEqual(["image", "label"]);
    expect(namesOf({ drop: ["label"] })).toEqual(["image", "meta"]);
    expect(namesOf({ rename: { image: "x", label: "y" } })).toEqual(["x", "y", "meta"]);
    expect(namesOf({ select: ["image", "label"], rename: { label: "image", image: "label" } })).toEqual([
      "label",
      "image",
    ]);
  });

  it("takes the key from the text of a feature, whatever becomes of the feature", () => {
    const id = tensor("int64", [1], BigInt64Array.of(42n));
    const rich = sampleOf("a", {
      id,
      label: "seven",
      raw: Buffer.from("µ"),
      meta: { json: "m" },
      bad: Uint8Array.of(255),
    });
    const keyBy = (key: string) => featureMap({ key, drop: ["label"], rename: { id: "number" } })(rich);
    expect(["label", "id", "raw", "meta"].map((key) => keyBy(key).key)).toEqual(["seven", "42", "µ", "m"]);
    expect(Object.keys(keyBy("label").features)).toEqual(["number", "raw", "meta", "bad"]);
    expect(() => keyBy("bad")).toThrow('Cannot take the key from feature "bad": it is no text (made.test, record 0)');
    expect(() => keyBy("labell")).toThrow(expect.objectContaining({ code: "usage", hint: "Did you mean label?" }));
    const map = featureMap({ key: "label" });
    map(rich);
    expect(() => map(sampleOf("b", {}))).toThrow('Cannot take the key from feature "label": it is missing');
    expect(() => map(sampleOf("b", { label: "" }))).toThrow("it is empty");
  });

  it("keeps key, origin and the features themselves", () => {
    const mapped = featureMap({ rename: { image: "x" } })(sample);
    expect(mapped.key).toBe("a");
    expect(mapped.origin).toBe(sample.origin);
    expect(mapped.features["x"]).toBe(sample.features["image"]);
  });

  it("names the nearest feature when one is misspelt, in each option", () => {
    for (const options of [{ select: ["imag"] }, { drop: ["imag"] }, { rename: { imag: "x" } }]) {
      const error = caught(() => namesOf(options));
      expect(error.code).toBe("usage");
      expect(error.message).toContain('"imag": the data has image, label, meta');
      expect(error.hint).toBe("Did you mean image?");
    }
  });

  it("lets later samples lack a feature", () => {
    const map = featureMap({ select: ["image", "label"] });
    map(sample);
    expect(Object.keys(map(sampleOf("b", { label: "eight", meta: { json: 1 } })).features)).toEqual(["label"]);
  });

  it("refuses two features of one name, renaming what is left out, and select with drop", () => {
    expect(caught(() => namesOf({ rename: { image: "label" } })).message).toContain(
      'two features get the name "label"',
    );
    expect(caught(() => namesOf({ rename: { label: "image" } })).message).toContain(
      'two features get the name "image"',
    );
    expect(caught(() => namesOf({ drop: ["image"], rename: { image: "x" } })).message).toContain("it is left out");
    expect(caught(() => namesOf({ select: ["label"], rename: { image: "x" } })).message).toContain("it is left out");
    expect(caught(() => namesOf({ select: ["label"], drop: ["image"] })).message).toContain("do not go together");
  });
});

function caught(action: () => unknown): KdataError {
  try {
    action();
  } catch (error) {
    if (error instanceof KdataError) return error;
    throw error;
  }
  throw new Error("expected a KdataError, but nothing was thrown");
}
