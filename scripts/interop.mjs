// Runs test/interop against the real TensorFlow, PyTorch, webdataset, numpy and so on, in a virtual environment of its own, and the
// packages of TensorFlow.js that kdata itself has no use for, in a folder of their own.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { interopRequirements, systemPython, virtualPython } from "./python.mjs";
import { tfjsFolder } from "./tfjs.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

const system = systemPython();
if (system === undefined) {
  process.stderr.write("interop: skipped, no python3 on this machine\n");
  // CI has Python: there a skip is a failure.
  process.exit(process.env.CI ? 1 : 0);
}
const python = virtualPython(system, "interop", interopRequirements);

const tfjs = tfjsFolder();
if (tfjs === undefined) process.exit(1);

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
    env: { ...process.env, KDATA_PYTHON: python, KDATA_TFJS: tfjs, TF_CPP_MIN_LOG_LEVEL: "3" },
  });
  if (result.status !== 0) process.exit(result.status ?? 1);
}
