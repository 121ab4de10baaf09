// Where the compiled entry of a worker thread lies, and the modules that it loads.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { KdataError } from "../core/errors.ts";

/**
 * Finds the entry of a worker thread: beside this file in a build; in `dist/` when this file runs from `src/`, as under a test
 * runner, because a worker thread does not start from TypeScript on every Node.
 *
 * @throws {KdataError} `worker` when it is not there.
 */
export function findWorkerEntry(name = "worker"): URL {
  return findCompiled(import.meta.url, name);
}

/**
 * Finds the compiled form of a module beside the one whose `import.meta.url` is `from`, in a folder of the sources.
 *
 * @throws {KdataError} `worker` when it is not there.
 */
export function findCompiled(from: string, name: string): URL {
  const runsFromSource = from.endsWith(".ts");
  const beside = new URL(`./${name}.js`, from).href;
  const entry = new URL(runsFromSource ? beside.replace(/\/src\/([^/]+\/[^/]+)$/, "/dist/$1") : beside);
  if (!existsSync(entry)) {
    throw new KdataError("worker", `Cannot start worker: ${fileURLToPath(entry)} is not there`, {
      hint: runsFromSource ? "compile first with `npm run build`" : "install the package again",
    });
  }
  return entry;
}
