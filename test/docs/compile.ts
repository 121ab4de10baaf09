// Compiles code of the documentation against the built package, strictly, as a user's editor would.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Reads the TypeScript of a page, block by block. */
export function readBlocks(page: string): string[] {
  return [...readFileSync(join(root, page), "utf8").matchAll(/```ts\n(.*?)```/gs)].flatMap(([, code]) => code ?? []);
}

/** Compiles one module that lies in the package's root, in memory, and gives the complaints. */
export function compile(source: string): string[] {
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
