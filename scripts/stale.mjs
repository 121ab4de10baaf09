// Says whether dist/ and node_modules/ are older than what they are made from.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Where the build leaves the hash of what it compiled. */
export function stampFile(root) {
  return join(root, "dist", ".stamp");
}

/** Hashes everything that dist/ is made from. */
export function buildStamp(root) {
  const hash = createHash("sha256");
  const sources = ["src", "kernels"]
    .flatMap((folder) => readdirSync(join(root, folder), { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
  for (const path of [...sources, join(root, "tsconfig.json"), join(root, "tsconfig.build.json")]) {
    hash.update(path.slice(root.length)).update("\0").update(readFileSync(path)).update("\0");
  }
  return hash.digest("hex");
}

/** Says whether dist/ was compiled from the sources as they are. */
export function isBuilt(root) {
  const stamp = stampFile(root);
  return existsSync(stamp) && readFileSync(stamp, "utf8") === buildStamp(root);
}

/** Says whether node_modules/ holds what package-lock.json asks for. */
export function isInstalled(root) {
  const installed = join(root, "node_modules", ".kdata-lock");
  return existsSync(installed) && readFileSync(installed, "utf8") === lockHash(root);
}

/** Hashes package-lock.json. */
export function lockHash(root) {
  return createHash("sha256")
    .update(readFileSync(join(root, "package-lock.json")))
    .digest("hex");
}
