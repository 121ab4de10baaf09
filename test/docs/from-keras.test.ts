// The listings of docs/from-keras.md are compiled against the package and the examples that they are taken from.

import { expect, test } from "vitest";
import { compile, readBlocks } from "./compile.ts";

/** What the listings leave out: imports, and the sizes that a reader chooses. */
const PRELUDE = `
import { writeFileSync } from "node:fs";
import * as kdata from "kdata";
import { claim, enableLora, Layer, layers, losses, metrics, ops, optimizers, Trainer, type BatchSource, type Sym } from "kdata/trainer";
import { decodeImage, normalize, randomFlip, resize, select } from "kdata/transforms";
import { onnxAttention } from "./examples/custom-attention.ts";
import { openDolly, readTokenizer } from "./examples/gemma/dolly.ts";
import { Generator } from "./examples/gemma/generate.ts";
import { gemma } from "./examples/gemma/model.ts";
import { readConfig, readWeights } from "./examples/gemma/weights.ts";
declare const size: number, dim: number, heads: number, units: number, folder: string, tokenizerFile: string;
`;

/** What a listing names and another one made. */
const OTHERS: Readonly<Record<string, string>> = {
  model: "declare const model: Layer;",
  loader: "declare const loader: typeof kdata.loader & BatchSource;",
};

const listings = readBlocks("docs/from-keras.md").map((code, i) => [i + 1, code] as const);

test("there are listings", () => {
  expect(listings.length).toBeGreaterThan(4);
});

test.each(listings)("listing %i compiles", (_number, code) => {
  const missing = Object.entries(OTHERS).filter(([name]) => !code.includes(`const ${name} =`));
  expect(compile([PRELUDE, ...missing.map(([, line]) => line), code].join("\n"))).toEqual([]);
});
