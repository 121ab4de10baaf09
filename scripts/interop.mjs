// Runs test/interop against the real TensorFlow, PyTorch, webdataset, numpy and so on, in a virtual environment of its own, and the
// packages of TensorFlow.js that kdata itself has no use for, in a folder of their own.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const requirements = join(root, "test", "interop", "requirements.txt");
const venv = join(root, ".cache", "interop-venv");
const tfjs = join(root, ".cache", "interop-tfjs");
const python = process.platform === "win32" ? join(venv, "Scripts", "python.exe") : join(venv, "bin", "python");

const system = ["python3", "python"].find((name) => spawnSync(name, ["--version"]).status === 0);
if (system === undefined) {
  process.stderr.write("interop: skipped, no python3 on this machine\n");
  // CI has Python: there a skip is a failure.
  process.exit(process.env.CI ? 1 : 0);
}

const wanted = createHash("sha256").update(readFileSync(requirements)).digest("hex");
const stamp = join(venv, ".requirements");
if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
  process.stderr.write("interop: installing the reference tools (pip)\n");
  rmSync(venv, { recursive: true, force: true });
  mkdirSync(join(root, ".cache"), { recursive: true });
  run(system, ["-m", "venv", venv]);
  run(python, ["-m", "pip", "install", "--quiet", "-r", requirements]);
  writeFileSync(stamp, wanted);
}

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
