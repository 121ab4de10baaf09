// The README's TypeScript is compiled, strictly, against the built package, as a user's editor would.

import { expect, test } from "vitest";
import { compile, readBlocks } from "./compile.ts";

test("the README's code compiles", () => {
  const blocks = readBlocks("README.md");
  expect(blocks.length).toBeGreaterThan(1);
  const source = ["declare function step(...columns: unknown[]): void;", ...blocks].join("\n");
  expect(compile(source)).toEqual([]);
});

test("code that does not fit the package does not compile", () => {
  expect(compile('import { loader } from "kdata"; await loader("x", { batchsize: 1 });')).toEqual([
    expect.stringContaining("batchsize"),
  ]);
});
