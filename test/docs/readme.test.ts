// The README's TypeScript is compiled, strictly, against the built package, as a user's editor would.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { expect, test } from "vitest";

const root = fileURLToPath(new URL("../..", import.meta.url));

test("the README's code compiles", () => {
  const blocks = [...readFileSync(join(root, "README.md"), "utf8").matchAll(/```ts\n(.*?)```/gs)].map(
    ([, code]) => code,
  );
  expect(blocks.length).toBeGreaterThan(1);
  const source = ["declare function step(...columns: unknown[]): void;", ...blocks].join("\n");
  expect(compile(source)).toEqual([]);
});

test("code that does not fit the package does not compile", () => {
  expect(compile('import { loader } from "kdata"; await loader("x", { batchsize: 1 });')).toEqual([
    expect.stringContaining("batchsize"),
  ]);
});

/** Compiles one module that lies in the package's root, in memory, and gives the complaints. */
function compile(source: string): string[] {
  const { options } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(join(root, "tsconfig.json"), (path) => readFileSync(path, "utf8")).config,
    ts.sys,
    root,
  );
  const file = join(root, "readme.ts");
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (path) => path === file || disk.fileExists(path),
    readFile: (path) => (path === file ? source : disk.readFile(path)),
    getSourceFile: (path, ...rest) =>
      path === file ? ts.createSourceFile(path, source, ts.ScriptTarget.ES2022) : disk.getSourceFile(path, ...rest),
  };
  const program = ts.createProgram([file], options, host);
  return ts
    .getPreEmitDiagnostics(program, program.getSourceFile(file))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"));
}
