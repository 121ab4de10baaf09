// A short run of scripts/soak-loader.mjs: the process is killed and goes on from its state, workers end in the middle of a batch.
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const script = fileURLToPath(new URL("../../scripts/soak-loader.mjs", import.meta.url));

test("what a run of killed processes and ended workers delivers is the data set exactly, in one order", async () => {
  const args = [script, "--kills", "3", "--deaths", "4", "--batches", "600", "--seed", "11"];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  const [killed, ended, memory] = stdout.split("\n");
  expect(killed).toMatch(/^3 times killed: 4000 samples, each one once/);
  expect(ended).toMatch(/^4 workers ended: 4000 samples, each one once/);
  expect(killed!.slice(killed!.indexOf("("))).toBe(ended!.slice(ended!.indexOf("(")));
  expect(memory).toMatch(/^memory: /);
});
