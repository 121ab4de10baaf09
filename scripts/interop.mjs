// Runs test/interop against the real TensorFlow, webdataset, numpy and safetensors, in a virtual environment of its own.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { interopRequirements, systemPython, virtualPython } from "./python.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

const system = systemPython();
if (system === undefined) {
  process.stderr.write("interop: skipped, no python3 on this machine\n");
  // CI has Python: there a skip is a failure.
  process.exit(process.env.CI ? 1 : 0);
}
const python = virtualPython(system, "interop", interopRequirements);
const result = spawnSync(
  process.execPath,
  [
    join(root, "node_modules", "vitest", "vitest.mjs"),
    "run",
    "--config",
    join(root, "vitest.interop.config.ts"),
    ...process.argv.slice(2),
  ],
  { cwd: root, stdio: "inherit", env: { ...process.env, KDATA_PYTHON: python, TF_CPP_MIN_LOG_LEVEL: "3" } },
);
process.exit(result.status ?? 1);
