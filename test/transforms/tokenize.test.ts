import { readFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import type { Tensor } from "../../src/core/tensor.ts";
import { prepareTransforms, tokenize, type TokenizeSettings } from "../../src/transforms/index.ts";
import { apply, sampleOf } from "./samples.ts";

interface Expected {
  readonly text: string;
  readonly ids: readonly number[];
  readonly bare: readonly number[];
  readonly right: readonly number[];
  readonly left: readonly number[];
}

const folder = new URL("../../fixtures/tokenizer/", import.meta.url);
const texts = JSON.parse(readFileSync(new URL("texts.json", folder), "utf8")) as Record<string, Expected[]>;

describe.each(Object.entries(texts))("tokenize() by %s gives what Hugging Face's library gives", (name, expected) => {
  const tokenizer = new URL(name, folder);
  beforeAll(() => prepareTransforms([tokenize("text", { tokenizer })]));

  function idsOf(text: string, settings: Partial<TokenizeSettings> = {}): number[] {
    const { features } = apply(tokenize("text", { tokenizer, into: "ids", ...settings }), sampleOf({ text }));
    const ids = features["ids"] as Tensor<"int32">;
    expect([ids.dtype, ids.shape]).toEqual(["int32", [ids.data.length]]);
    return [...ids.data];
  }

  test.each(expected.map((one) => [one.text, one] as const))("%j", (text, { ids, bare, right, left }) => {
    expect(idsOf(text)).toEqual(ids);
    expect(idsOf(text, { addSpecialTokens: false })).toEqual(bare);
    expect(idsOf(text, { maxLength: 6 })).toEqual(right);
    expect(idsOf(text, { maxLength: 6, truncate: "left" })).toEqual(left);
  });
});

const tokenizer = new URL("wordpiece.json", folder);

test("tokenize() replaces the text, or keeps it beside the tokens, and adds a mask", async () => {
  await prepareTransforms([tokenize("text", { tokenizer })]);
  const sample = sampleOf({ text: "the fox" });
  expect(Object.keys(apply(tokenize("text", { tokenizer, mask: "mask" }), sample).features)).toEqual(["text", "mask"]);
  const { features } = apply(tokenize("text", { tokenizer, into: "ids", mask: "mask" }), sample);
  expect(features["text"]).toBe("the fox");
  expect([...(features["mask"] as Tensor).data]).toEqual([...(features["ids"] as Tensor).data].map(() => 1));
});

test("tokenize() refuses what is no string, with the transform that makes one, and too short a maxLength", async () => {
  await prepareTransforms([tokenize("text", { tokenizer })]);
  expect(() => apply(tokenize("text", { tokenizer }), sampleOf({ text: Buffer.from("a") }))).toThrow(
    expect.objectContaining({ code: "shape", hint: 'decode it first, with decodeText("text")' }),
  );
  expect(() => apply(tokenize("text", { tokenizer, maxLength: 1 }), sampleOf({ text: "a b" }))).toThrow(
    expect.objectContaining({ code: "shape", at: { source: "a.npy", record: 5 } }),
  );
  expect(() => tokenize("text", { tokenizer, maxlength: 3 } as TokenizeSettings)).toThrow(
    expect.objectContaining({ code: "usage", hint: "did you mean 'maxLength'?" }),
  );
});

test("a tokenizer that is missing or none, and one that was not loaded, are typed errors", async () => {
  await expect(prepareTransforms([tokenize("text", { tokenizer: "/nowhere.json" })])).rejects.toMatchObject({
    code: "input",
    at: { source: "/nowhere.json" },
  });
  const none = new URL("texts.json", folder);
  await expect(prepareTransforms([tokenize("text", { tokenizer: none })])).rejects.toMatchObject({ code: "format" });
  expect(() => apply(tokenize("text", { tokenizer: none }), sampleOf({ text: "a" }))).toThrow(
    expect.objectContaining({ code: "usage", hint: expect.stringContaining("prepareTransforms") as string }),
  );
});
