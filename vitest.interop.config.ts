import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/interop/**/*.interop.ts"],
    pool: "forks",
    // Importing TensorFlow alone takes many seconds on a small machine.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
