import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const soak = fileURLToPath(new URL("../../scripts/soak-train.mjs", import.meta.url));

test.each([[[]], [["--writes"]]])(
  "a process killed by SIGKILL %j ends with the weights and samples of one that was not",
  (flags) => {
    const { stdout, stderr, status } = spawnSync(process.execPath, [soak, "--kills", "2", ...flags], {
      encoding: "utf8",
    });
    expect(stderr).toBe("");
    expect(stdout).toMatch(/^\d kills.*: weights and samples equal$/m);
    expect(status).toBe(0);
  },
);
