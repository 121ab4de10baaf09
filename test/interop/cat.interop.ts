// `kdata cat` feeds real loops in Python: numpy with the reader of examples/python, PyTorch, Keras, and webdataset over a pipe.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

import { fixture, main, mnist } from "../cli/run-kdata.ts";

const python = process.env["KDATA_PYTHON"] ?? "python3";
const here = (file: string) => fileURLToPath(new URL(file, import.meta.url));
const example = (file: string) => fileURLToPath(new URL(`../../examples/python/${file}`, import.meta.url));
const files = ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"].map((file) => join(mnist, file));
const kdata = [process.execPath, main];

const directory = mkdtempSync(join(tmpdir(), "kdata-cat-interop-"));
afterAll(() => {
  rmSync(directory, { recursive: true });
});

function run(script: string, args: readonly string[]): string {
  return execFileSync(python, [script, ...args], {
    encoding: "utf8",
    maxBuffer: 1 << 26,
    stdio: ["ignore", "pipe", "inherit"],
  });
}

beforeAll(() => {
  const bytes = readFileSync(fixture("tfrecord/rows.tfrecord"));
  bytes[300] = (bytes[300] ?? 0) ^ 1;
  writeFileSync(join(directory, "bad.tfrecord"), bytes);
  const lines = [
    {
      text: "wörds",
      bytes: { $bytes: "AP8=" },
      list: { $list: ["YQ==", ""] },
      json: { a: [1, null] },
      n: 1,
      flag: true,
    },
    { text: "", bytes: { $bytes: "" }, list: { $list: [] }, json: { a: "ü" }, n: -2, flag: false },
  ];
  const tensors = ["AIA=", "wD8="].map((bits) => ({
    half: { $tensor: "float16", shape: [1], base64: bits },
    brain: { $tensor: "bfloat16", shape: [], base64: bits },
    none: { $tensor: "float32", shape: [0, 2], base64: "" },
  }));
  const rows = lines.map((line, i) => `${JSON.stringify({ ...line, ...tensors[i] })}\n`);
  writeFileSync(join(directory, "kinds.jsonl"), rows.join(""));
});

describe("the reader for Python", () => {
  let seen: Readonly<Record<string, unknown>>;
  beforeAll(() => {
    seen = JSON.parse(run(here("read_stream.py"), [...files, directory, ...kdata])) as typeof seen;
  });

  it("gives MNIST bit for bit, with keys and steps", () => {
    expect(seen["mnist"]).toBe(true);
    expect(seen["mnist_dtypes"]).toEqual(["|u1", [10_000, 28, 28], "|u1", [10_000]]);
    expect(seen["mnist_batches"]).toEqual([34, 100, 33, ["t10k/0", "t10k/1"]]);
    expect(seen["steps"]).toBe(34);
  });

  it("gives each epoch whole, in another order", () => {
    expect(seen["orders"]).toEqual([10_000, 10_000, false]);
  });

  it("gives each kind of feature as what it is in Python", () => {
    expect(seen["kinds"]).toEqual({
      text: ["wörds", ""],
      bytes: ["00ff", ""],
      list: [["61", ""], []],
      json: [{ a: [1, null] }, { a: "ü" }],
      n: ["<i8", [2], "0100000000000000feffffffffffffff"],
      flag: ["|b1", [2], "0100"],
      half: ["<f2", [2, 1], "0080c03f"],
      brain: ["<f4", [2], "000000800000c03f"],
      none: ["<f4", [2, 0, 2], ""],
    });
  });

  it("raises with kdata's own message", () => {
    const errors = seen["errors"] as Readonly<Record<string, [code: string, message: string]>>;
    expect(errors["bad"]).toEqual([
      "checksum",
      expect.stringMatching(/checksum does not match \(.*bad\.tfrecord, record \d/),
    ]);
    expect(errors["missing"]).toEqual(["input", expect.stringContaining("none.tfrecord")]);
    expect(errors["usage"]).toEqual(["process", expect.stringContaining("unknown option '--bacth'")]);
    expect(errors["flag"]).toEqual(["process", expect.stringContaining("--batch")]);
  });

  it("raises wherever the stream is cut", () => {
    expect(seen["cuts"]).toEqual([["empty", "truncated"], 1, 2]);
  });

  it("ends the process when the loop is left", () => {
    expect(seen["children"]).toEqual([]);
  });
});

/** The accuracies that a training script prints, one for each epoch. */
function accuracies(printed: string): number[] {
  return [...printed.matchAll(/^epoch \d+: .*accuracy ([\d.]+)$/gm)].map(([, accuracy]) => Number(accuracy));
}

describe("training loops of Python", () => {
  it("PyTorch's DataLoader trains on it", () => {
    const printed = run(example("train_torch.py"), [...files, "--epochs", "2", "--command", ...kdata]);
    expect(printed).toMatch(/^epoch 0: 10000 samples/);
    const [first, second] = accuracies(printed);
    expect(first).toBeGreaterThan(0.7);
    expect(second).toBeGreaterThan(0.88);
  });

  it("Keras' model.fit trains on it", () => {
    const [first, second] = accuracies(
      run(example("train_keras.py"), [...files, "--epochs", "2", "--command", ...kdata]),
    );
    expect(first).toBeGreaterThan(0.7);
    expect(second).toBeGreaterThan(0.88);
  });
});

describe("webdataset", () => {
  it("reads shuffled samples out of a pipe, may leave it, and raises what ends it", () => {
    const seen = JSON.parse(
      run(here("webdataset_pipe.py"), [...files, join(directory, "bad.tfrecord"), ...kdata]),
    ) as unknown;
    expect(seen).toEqual({
      same: true,
      rows: [10_000, 10_000, false],
      first: "t10k/0",
      error: expect.stringMatching(/Error$/) as string,
    });
  });
});
