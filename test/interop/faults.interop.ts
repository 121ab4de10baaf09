// Damaged files through kdata and through the reference tools, few of each kind: `npm run faults -- --short`.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

interface Result {
  readonly reader: string;
  readonly isVouched: boolean;
  readonly counts: Readonly<Record<"identical" | "placed" | "vague" | "silent" | "crash", number>>;
}

test("kdata gives no damaged file's data in silence, and says of each where it is damaged", () => {
  const folder = mkdtempSync(join(tmpdir(), "kdata-faults-"));
  try {
    const output = join(folder, "faults.json");
    execFileSync(process.execPath, ["scripts/faults.mjs", "--short", "--output", output], { stdio: "pipe" });
    const { results } = JSON.parse(readFileSync(output, "utf8")) as { results: Result[] };
    const readers = [...new Set(results.map(({ reader }) => reader))];
    expect(readers).toEqual(
      expect.arrayContaining(["kdata", "webdataset", "tf.data", "numpy", "pyarrow", "hyparquet"]),
    );
    const bad = results.filter(
      ({ reader, isVouched, counts }) =>
        reader.startsWith("kdata") &&
        (isVouched || reader !== "kdata" ? counts.silent + counts.crash + counts.vague : counts.crash) > 0,
    );
    expect(bad).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
