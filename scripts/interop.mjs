// Runs test/interop against the real TensorFlow, PyTorch, webdataset, numpy and so on, in a virtual environment of its own, and the
// packages of TensorFlow.js that kdata itself has no use for, in a folder of their own.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { interopRequirements, systemPython, virtualPython } from "./python.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const tfjs = join(root, ".cache", "interop-tfjs");

const system = systemPython();
if (system === undefined) {
  process.stderr.write("interop: skipped, no python3 on this machine\n");
  // CI has Python: there a skip is a failure.
  process.exit(process.env.CI ? 1 : 0);
}
const python = virtualPython(system, "interop", interopRequirements);

const tfjsPackages = ["core", "backend-cpu", "layers", "data"].map((name) => `@tensorflow/tfjs-${name}@4.22.0`);
const tfjsStamp = join(tfjs, ".packages");
if (!existsSync(tfjsStamp) || readFileSync(tfjsStamp, "utf8") !== tfjsPackages.join()) {
  process.stderr.write("interop: installing TensorFlow.js (npm)\n");
  rmSync(tfjs, { recursive: true, force: true });
  mkdirSync(tfjs, { recursive: true });
  writeFileSync(join(tfjs, "package.json"), '{ "private": true }\n');
  run("npm", ["install", "--no-audit", "--no-fund", "--loglevel=error", "--prefix", tfjs, ...tfjsPackages]);
  writeFileSync(tfjsStamp, tfjsPackages.join());
}

run(process.execPath, [
  join(root, "node_modules", "vitest", "vitest.mjs"),
  "run",
  "--config",
  join(root, "vitest.interop.config.ts"),
  ...process.argv.slice(2),
]);

function run(command, args) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: "inherit",
    shell: command === "npm" && process.platform === "win32",
    env: { ...process.env, KDATA_PYTHON: python, KDATA_TFJS: tfjs, TF_CPP_MIN_LOG_LEVEL: "3" },
  });
  if (result.status !== 0) process.exit(result.status ?? 1);
}
