// The examples of docs/integrations.md run, each in a process of its own, against the built package and real data.

import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { transformSync } from "amaro";
import { afterAll, beforeAll, expect, test } from "vitest";
import { convert } from "../../src/convert/index.ts";
import { mnist } from "../cli/run-kdata.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const scripts = join(root, ".cache", "docs"); // inside the package, which can import itself by name
const folder = mkdtempSync(join(tmpdir(), "kdata-docs-"));

beforeAll(async () => {
  mkdirSync(scripts, { recursive: true });
  await convert(join(mnist, "t10k-*"), { to: "tfrecord", output: join(folder, "data"), name: "train", shards: 4 });
});
afterAll(() => {
  rmSync(folder, { recursive: true });
  rmSync(scripts, { recursive: true });
});

const text = readFileSync(join(root, "docs", "integrations.md"), "utf8");
const [opening = "", ...examples] = [...text.matchAll(/```ts\n(.*?)```/gs)].map(([, code]) => code ?? "");
const { resolve } = createRequire(import.meta.url);

test("there are examples", () => {
  expect(examples.length).toBeGreaterThan(6);
});

test.each(examples.map((code, number) => [titleOf(code), code, number] as const))(
  "%s",
  async (_title, code, number) => {
    const module = transformSync(`${opening}\n${code}\nawait train.close();\n`, {
      mode: "transform",
      sourceMap: false,
      filename: "example.ts",
    });
    // Its loop is not among kdata's packages: test/interop/tfjs.interop.ts trains with it.
    if (!packagesOf(code).every(isInstalled)) {
      expect(packagesOf(code)).toContain("@tensorflow/tfjs-layers");
      return;
    }
    const file = join(scripts, `example-${number}.mjs`);
    writeFileSync(file, module.code);
    await promisify(execFile)(process.execPath, [file], { cwd: folder, timeout: 60_000 });
  },
);

function titleOf(code: string): string {
  return (
    text
      .slice(0, text.indexOf(code))
      .match(/^## .*$/gm)
      ?.at(-1) ?? ""
  );
}

function packagesOf(code: string): string[] {
  return [...code.matchAll(/(?:from|import) "([^"]+)"/g)].flatMap(([, name]) =>
    name === undefined || name.startsWith("kdata") ? [] : [name],
  );
}

function isInstalled(name: string): boolean {
  try {
    resolve(name);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "MODULE_NOT_FOUND") return false;
    throw error;
  }
}
