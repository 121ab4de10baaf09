// Runs every `@example` of the docstrings, with the public exports and those of the file itself in scope.

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { transformSync } from "amaro";
import { describe, expect, test } from "vitest";
import * as core from "../../src/core/index.ts";
import * as kdata from "../../src/index.ts";
import * as trainer from "../../src/trainer/index.ts";
import * as transforms from "../../src/transforms/index.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

interface Example {
  readonly file: string;
  readonly line: number;
  readonly code: string;
}

const examples = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .sort()
  .flatMap((file) => findExamples(join(root, "src", file)));

describe("docstring examples", () => {
  test("are found", () => {
    expect(examples.length).toBeGreaterThan(5);
  });

  test.each(examples.map((example) => [`${relative(root, example.file)}:${example.line}`, example] as const))(
    "%s runs and its assertions hold",
    async (_place, { file, code }) => {
      const own = (await import(/* @vite-ignore */ pathToFileURL(file).href)) as Record<string, unknown>;
      const scope: Record<string, unknown> = { assert, ...core, ...kdata, ...trainer, ...transforms, ...own };
      const wrapped = `export async function run(${Object.keys(scope).join(", ")}) {\n${code}\n}`;
      const { code: plain } = transformSync(wrapped, { mode: "transform", sourceMap: false, filename: file });
      const module = (await import(/* @vite-ignore */ `data:text/javascript,${encodeURIComponent(plain)}`)) as {
        run: (...values: unknown[]) => Promise<void>;
      };
      await module.run(...Object.values(scope));
    },
  );
});

function findExamples(file: string): Example[] {
  const text = readFileSync(file, "utf8");
  return [...text.matchAll(/^[ ]*\* @example\n((?:[ ]*\*(?:[ ].*)?\n)+?)(?=[ ]*\*\/|[ ]*\* @)/gm)].map((match) => ({
    file,
    line: text.slice(0, match.index).split("\n").length,
    code: (match[1] ?? "").replace(/^[ ]*\*[ ]?/gm, ""),
  }));
}
