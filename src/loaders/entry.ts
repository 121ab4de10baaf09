// Where the compiled entry of a worker thread lies.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { KdataError } from "../core/errors.ts";

/**
 * Finds the entry of a worker thread: beside this file in a build; in `dist/` when this file runs from `src/`, as under a test
 * runner, because a worker thread does not start from TypeScript on every Node.
 *
 * @throws {KdataError} `worker` when it is not there.
 */
export function findWorkerEntry(): URL {
  const runsFromSource = import.meta.url.endsWith(".ts");
  const entry = new URL(runsFromSource ? "../../dist/loaders/worker.js" : "./worker.js", import.meta.url);
  if (!existsSync(entry)) {
    throw new KdataError("worker", `Cannot start worker: ${fileURLToPath(entry)} is not there`, {
      hint: runsFromSource ? "compile first with `npm run build`" : "install the package again",
    });
  }
  return entry;
}
