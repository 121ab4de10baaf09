// Preloaded by soak-convert.mjs: writes the most memory that the process had resident, in bytes, when it ends. Linux only; what
// getrusage says is that of the parent, where the parent had more.

import { readFileSync, writeFileSync } from "node:fs";

process.on("exit", () => {
  const file = process.env["KDATA_PEAK_FILE"];
  const peak = /VmHWM:\s+(\d+) kB/.exec(readFileSync("/proc/self/status", "utf8"));
  if (file && peak) writeFileSync(file, String(Number(peak[1]) * 1024));
});
