// Compiles src/ and kernels/ to dist/ and removes compiled files whose source is gone.
import { spawnSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { compileKernels } from "./kernels.mjs";
import { buildStamp, stampFile } from "./stale.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const clean = process.argv.includes("--clean");
if (clean) rmSync(`${root}dist`, { recursive: true, force: true });
const result = spawnSync(
  process.execPath,
  [`${root}node_modules/typescript/bin/tsc`, "-p", `${root}tsconfig.build.json`],
  {
    cwd: root,
    stdio: "inherit",
  },
);
if (result.status !== 0) process.exit(result.status ?? 1);
await compileKernels(root);
writeFileSync(stampFile(root), buildStamp(root));
