// Installs and builds what is missing or stale, so that every npm script works from a fresh clone. Silent when all is ready.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { isBuilt, isInstalled, lockHash } from "./stale.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));

if (!isInstalled(root)) {
  process.stderr.write("kdata: installing packages (npm ci)\n");
  // Its install script fetches CUDA libraries, which kdata does not need and which may be out of reach.
  run("npm", ["ci", "--no-audit", "--no-fund", "--loglevel=error"], { ONNXRUNTIME_NODE_INSTALL: "skip" });
  writeFileSync(`${root}node_modules/.kdata-lock`, lockHash(root));
}
if (!isBuilt(root)) {
  process.stderr.write("kdata: compiling src/ to dist/\n");
  run(process.execPath, [`${root}scripts/build.mjs`, "--clean"]);
}

function run(command, args, env = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    // npm's own chatter goes to stderr: standard output belongs to the command that follows.
    stdio: ["ignore", 2, 2],
    env: { ...process.env, ...env },
    shell: process.platform === "win32",
  });
  if (result.status !== 0) {
    process.stderr.write(`kdata: ${[command, ...args].join(" ")} failed\n`);
    process.exit(result.status ?? 1);
  }
}
