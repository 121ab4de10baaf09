import { availableParallelism } from "node:os";
import { defineConfig } from "vitest/config";

// What launchers of several processes tell theirs: whoever runs the tests under one means one process all the same.
const launcherVariables = [
  "RANK",
  "WORLD_SIZE",
  "OMPI_COMM_WORLD_RANK",
  "OMPI_COMM_WORLD_SIZE",
  "PMI_RANK",
  "PMI_SIZE",
  "SLURM_STEP_ID",
  "JOB_COMPLETION_INDEX",
];

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    maxWorkers: Math.max(2, availableParallelism() - 1), // of two cores vitest would use one
    env: Object.fromEntries(launcherVariables.map((name) => [name, ""])),
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
