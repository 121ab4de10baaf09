// A conversion that is killed and resumed gives the same bytes as one that was left alone.

import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { convert, type ConvertOptions, type ConvertPlan } from "../../src/convert/index.ts";
import { KdataError } from "../../src/core/errors.ts";
import { tensor } from "../../src/core/tensor.ts";
import { writableFormatByName } from "../../src/writers/index.ts";
import { sampleOf } from "../writers/samples.ts";

const compiled = new URL("../../dist/convert/index.js", import.meta.url).href;
const MOMENTS = 5;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "kdata-resume-"));
  for (const [index, records] of [7, 1, 12, 9].entries()) writeShard(`in/train-00${index}`, records);
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});
const at = (...parts: readonly string[]) => join(directory, ...parts);

describe("a conversion that was killed", () => {
  it.each([
    ["mirrored WebDataset", { to: "webdataset" }, 11],
    ["mirrored NPY, several files a shard", { to: "npy" }, 12],
    ["equal shards", { to: "tfrecord", shards: 5 }, 13],
    ["equal NPY shards", { to: "npy", shards: 3 }, 14],
    ["shards of a size", { to: "tfrecord", shardSize: 300 }, 15],
    ["WebDataset shards of a size", { to: "webdataset", shardSize: 9000 }, 16],
  ] as const)("is resumed to the same bytes: %s", { timeout: 120_000 }, async (_, options, seed) => {
    await convert(at("in/*.tfrecord"), { ...options, output: at("whole") });
    const whole = contentOf(at("whole"));
    const calls = callsOf(options, at("counted"));
    expect(calls).toBeGreaterThan(10);
    for (let moment = 0; moment < MOMENTS; moment++) {
      const output = at(`killed-${moment}`);
      const call = 1 + Math.floor((calls * (moment + fraction(seed, moment))) / MOMENTS);
      expect(killAt(call, options, output)).toBe("SIGKILL");
      // The resumed run dies too, a little later, and the next one goes on from there.
      if (moment % 2 === 1) killAt(4, { ...options, ifExists: "resume" }, output);
      await convert(at("in/*.tfrecord"), { ...options, output, ifExists: "resume" });
      expect(contentOf(output)).toEqual(whole);
    }
  });

  it("does not write again what is finished, and writes again what is no longer whole", async () => {
    const options = { to: "tfrecord", output: at("out"), shards: 4 };
    await convert(at("in/*.tfrecord"), options);
    const whole = contentOf(at("out"));
    const damagedBytes = readFileSync(at("out/train-00002.tfrecord"));
    damagedBytes[20] = (damagedBytes[20] ?? 0) ^ 1;
    writeFileSync(at("out/train-00002.tfrecord"), damagedBytes);
    rmSync(at("out/train-00001.tfrecord"));

    const plans: ConvertPlan[] = [];
    const report = await convert(at("in/*.tfrecord"), {
      ...options,
      ifExists: "resume",
      onPlan: (plan) => plans.push(plan),
    });
    expect(plans.map(({ resumed, outputs }) => [resumed, outputs.length])).toEqual([[2, 4]]);
    expect([report.resumed, report.shards.length, report.records]).toEqual([2, 2, 14]);
    expect(contentOf(at("out"))).toEqual(whole);
  });

  it("checks the names of features by its first sample only, resumed or not", async () => {
    const writer = writableFormatByName("tfrecord").create(at("mixed/m"));
    writer.write(sampleOf("0", { a: "x", b: "y" }));
    for (const key of ["1", "2"]) writer.write(sampleOf(key, { a: "x" }));
    writer.finish();
    const options = { to: "tfrecord", output: at("out"), shards: 3, drop: ["b"] };
    await convert(at("mixed/m.tfrecord"), options);
    const whole = contentOf(at("out"));
    rmSync(at("out/m-00002.tfrecord"));
    await convert(at("mixed/m.tfrecord"), { ...options, ifExists: "resume" });
    expect(contentOf(at("out"))).toEqual(whole);
  });
});

describe("resume", () => {
  it("refuses when arguments changed, and names each with its values", async () => {
    await convert(at("in/*.tfrecord"), { to: "tfrecord", output: at("out"), shards: 2 });
    const error = await rejected({ to: "tfrecord", output: at("out"), shards: 3, drop: ["text"] });
    expect([error.code, error.reason]).toEqual([
      "state",
      'Cannot resume: the arguments changed: shards was 2 and is 3 now; drop was not given and is ["text"] now',
    ]);
    expect(error.at?.source).toBe(at("out/.train.tfrecord.manifest.json"));
  });

  it("refuses when a source changed, is missing or is new, and says which", async () => {
    const options = { to: "npy", output: at("out") };
    await convert(at("in/*.tfrecord"), options);
    utimesSync(at("in/train-002.tfrecord"), 1, 1);
    expect((await rejected(options)).reason).toContain(
      `${at("in/train-002.tfrecord")} changed: it was written to at another time`,
    );
    writeShard("in/train-002", 13);
    expect((await rejected(options)).reason).toMatch(/train-002\.tfrecord changed: it had \d+ bytes and has \d+ now/);
    writeShard("in/train-000b", 1);
    expect((await rejected(options)).reason).toContain(`${at("in/train-000b.tfrecord")} was not there`);
    for (const name of ["train-000b", "train-002"]) rmSync(at(`in/${name}.tfrecord`));
    expect((await rejected(options)).reason).toContain(`${at("in/train-002.tfrecord")} is missing`);
  });

  it("begins when nothing is there, and refuses an output that no manifest speaks of", async () => {
    const options = { to: "webdataset", output: at("out"), ifExists: "resume" } as const;
    expect((await convert(at("in/*.tfrecord"), options)).resumed).toBe(0);
    expect((await convert(at("in/*.tfrecord"), options)).resumed).toBe(4);
    rmSync(at("out/.train.webdataset.manifest.json"), { force: true });
    rmSync(at("out/.train.tar.manifest.json"));
    const error = await rejected(options);
    expect([error.code, error.reason]).toEqual([
      "exists",
      "Cannot convert: the output exists, and there is no manifest to resume it by",
    ]);
  });

  it("leaves alone what was passed over", async () => {
    writeShard("out/train-001", 3);
    const foreign = readFileSync(at("out/train-001.tfrecord"));
    await convert(at("in/*.tfrecord"), { to: "tfrecord", output: at("out"), ifExists: "skip" });
    rmSync(at("out/train-003.tfrecord"));
    const report = await convert(at("in/*.tfrecord"), { to: "tfrecord", output: at("out"), ifExists: "resume" });
    expect([report.resumed, report.passedOver, report.records]).toEqual([2, 1, 9]);
    expect(readFileSync(at("out/train-001.tfrecord")).equals(foreign)).toBe(true);
  });

  it.each([
    ["{", /is not JSON/],
    ["[]", /has no schema/],
    ['{"schema":"kdata.convert-manifest/9"}', /of version kdata\.convert-manifest\/9, not/],
    [
      '{"schema":"kdata.convert-manifest/1","shards":[{"name":"a","records":1,"taken":1,"files":[{"path":"../a","bytes":1,"crc32":"0"}]}]}',
      /a shard or a source is not what it should be/,
    ],
    ['{"schema":"kdata.convert-manifest/1","shards":[{"name":"a","records":-1,"taken":1,"files":[]}]}', /not what/],
  ])("believes nothing in a manifest: %s", async (text, reason) => {
    await convert(at("in/*.tfrecord"), { to: "npy", output: at("out") });
    writeFileSync(at("out/.train.npy.manifest.json"), text);
    const error = await rejected({ to: "npy", output: at("out") });
    expect([error.code, error.reason]).toEqual(["state", expect.stringMatching(reason)]);
  });
});

/** Runs a conversion in a process that kills itself right before its `call`-th write, sync or rename; says how it ended. */
function killAt(call: number, options: Partial<ConvertOptions>, output: string): NodeJS.Signals | number | null {
  const { signal, status, stdout, stderr } = spawnSync(process.execPath, [
    "--input-type=module",
    "-e",
    `import fs from "node:fs";
    import { syncBuiltinESMExports } from "node:module";
    let calls = 0;
    for (const name of ["writeSync", "fsyncSync", "renameSync"]) {
      const original = fs[name];
      fs[name] = (...args) => {
        if (++calls === ${call}) process.kill(process.pid, "SIGKILL");
        return original(...args);
      };
    }
    syncBuiltinESMExports();
    const { convert } = await import(${JSON.stringify(compiled)});
    await convert(${JSON.stringify(at("in/*.tfrecord"))}, ${JSON.stringify({ ...options, output })});
    process.stdout.write(String(calls));`,
  ]);
  if (signal === null && status !== 0) throw new Error(stderr.toString());
  return signal ?? Number(stdout.toString());
}

/** Counts the calls of an uninterrupted run. */
function callsOf(options: Partial<ConvertOptions>, output: string): number {
  return Number(killAt(0, options, output));
}

/** A fraction that depends on the seed and the moment alone. */
function fraction(seed: number, moment: number): number {
  return ((seed * 7919 + moment * 104_729) % 1000) / 1000;
}

/** The data files of a directory by their names. */
function contentOf(path: string): Record<string, string> {
  const names = readdirSync(path).filter((name) => !name.endsWith(".manifest.json"));
  return Object.fromEntries(names.map((name) => [name, readFileSync(join(path, name), "base64")]));
}

function writeShard(stem: string, records: number): void {
  const writer = writableFormatByName("tfrecord").create(at(stem));
  for (let row = 0; row < records; row++) {
    const value = tensor("int64", [], BigInt64Array.of(BigInt(row)));
    writer.write(sampleOf(`${stem.slice(stem.lastIndexOf("/") + 1)}/${row}`, { value, text: `row ${row}` }));
  }
  writer.finish();
}

async function rejected(options: ConvertOptions): Promise<KdataError> {
  try {
    await convert(at("in/*.tfrecord"), { ...options, ifExists: "resume" });
  } catch (error) {
    if (error instanceof KdataError) return error;
    throw error;
  }
  throw new TypeError("expected a KdataError, but the conversion was resumed");
}
