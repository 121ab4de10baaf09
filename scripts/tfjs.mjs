// Finds the packages of TensorFlow.js that kdata itself has no use for and is held against: in a folder of their own, installed when they are needed.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("../.cache/interop-tfjs", import.meta.url));
const packages = ["core", "backend-cpu", "layers", "data"].map((name) => `@tensorflow/tfjs-${name}@4.22.0`);

/** Gives the folder whose node_modules has core, the CPU backend, layers and data; `undefined` where npm cannot install them. */
export function tfjsFolder() {
  const stamp = join(folder, ".packages");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === packages.join()) return folder;
  process.stderr.write("installing TensorFlow.js (npm)\n");
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "package.json"), '{ "private": true }\n');
  const options = ["--no-audit", "--no-fund", "--loglevel=error", "--prefix", folder];
  const { status } = spawnSync("npm", ["install", ...options, ...packages], {
    stdio: ["ignore", 2, "inherit"],
    shell: process.platform === "win32",
  });
  if (status !== 0) return undefined;
  writeFileSync(stamp, packages.join());
  return folder;
}
