import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { loader } from "../../src/loaders/index.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-stray-"));
  for (const [name, text] of Object.entries({ "a.cls": "1", README: "about", "b.cls": "2" })) {
    writeFileSync(join(folder, name), text);
  }
  execFileSync("tar", ["cf", "set.tar", "a.cls", "README", "b.cls"], { cwd: folder });
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

test.each([0, 1])("%i workers: a file of no sample is refused unless it is to be passed over", async (workers) => {
  const spec = join(folder, "set.tar");
  await expect(loader(spec, { batchSize: 2, workers })).rejects.toMatchObject({ code: "format" });
  await using loaded = await loader(spec, { batchSize: 2, workers, strayMembers: "skip" });
  const keys: string[] = [];
  for await (const batch of loaded) keys.push(...batch.keys);
  expect(keys).toEqual(["a", "b"]);
});

test("the option is refused where it means nothing", async () => {
  const spec = "fixtures/tfrecord/rows.tfrecord";
  await expect(loader(spec, { batchSize: 2, workers: 0, strayMembers: "skip" })).rejects.toMatchObject({
    code: "usage",
  });
});
