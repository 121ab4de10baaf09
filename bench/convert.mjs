// How fast and in how much memory one format becomes another.
//
//   npm run bench -- convert [--quick] [--python PYTHON]

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { imageFeatures, writeShard } from "./formats/data.mjs";
import { run as runFormats } from "./formats.mjs";

const IMAGE_BYTES = 20_000;
const LIMIT_MB = 300;

/** Measures every row: those of bench/formats.mjs about conversion, and the memory of a whole `convert`. */
export async function run({ quick = false, python } = {}) {
  return [...(await runFormats({ quick, python, only: "conversion" })), memory(quick ? 10_000 : 100_000)];
}

/** The most memory that a process has resident that converts one large shard: node itself takes some 50 MB of it. */
function memory(records) {
  const folder = mkdtempSync(join(tmpdir(), "kdata-bench-"));
  try {
    const path = writeShard(folder, "large", "tfrecord", records, imageFeatures(IMAGE_BYTES));
    const program = `
      import { convert } from "kdata/convert";
      await convert(${JSON.stringify(path)}, { to: "webdataset", output: ${JSON.stringify(join(folder, "out"))} });
      console.log(process.resourceUsage().maxRSS);`;
    // Settings of malloc that keep memory for speed are not a user's.
    const { MALLOC_MMAP_THRESHOLD_: _mmap, MALLOC_TRIM_THRESHOLD_: _trim, ...env } = process.env;
    const cwd = new URL("..", import.meta.url);
    const output = execFileSync(process.execPath, ["--input-type=module", "-e", program], {
      cwd,
      env,
      encoding: "utf8",
    });
    const ours = (Number(output) * 1024) / 1e6;
    const gigabytes = (statSync(path).size / 1e9).toFixed(1);
    return {
      name: "memory to convert a shard / 300 MB",
      ours,
      peer: LIMIT_MB,
      unit: `MB for ${gigabytes} GB`,
      ratio: LIMIT_MB / ours,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
