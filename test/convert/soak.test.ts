// A short run of scripts/soak-convert.mjs: conversions are killed and resumed.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const script = fileURLToPath(new URL("../../scripts/soak-convert.mjs", import.meta.url));

test("a conversion that is killed and resumed gives the bytes of one that is not", { timeout: 120_000 }, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [script, "kill", "--kills", "2", "--seed", "5"]);
  expect(stdout).toMatch(/^kill +2 kills, \d+ conversions completed by --resume, each equal byte for byte\n$/);
});
