import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { KdataError } from "../../src/core/errors.ts";
import { tensor } from "../../src/core/tensor.ts";
import { readSafetensors, writeSafetensors } from "../../src/trainer/checkpoint.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-checkpoint-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const weights = new Map([
  ["dense/kernel", tensor("float32", [2, 3], Float32Array.of(1, -0, 3.5, NaN, Infinity, 1e-45))],
  ["step", tensor("float32", [], Float32Array.of(7))],
  ["empty", tensor("float32", [0, 4], new Float32Array(0))],
]);

describe("safetensors", () => {
  test("a file gives back the same bits, shapes and metadata", () => {
    const path = join(folder, "w.safetensors");
    writeSafetensors(path, weights, { epoch: "3" });
    const read = readSafetensors(path);
    expect(read.metadata).toEqual({ epoch: "3" });
    expect([...read.tensors.keys()]).toEqual([...weights.keys()]);
    for (const [name, { shape, data }] of weights) {
      expect(read.tensors.get(name)?.shape).toEqual(shape);
      expect(Buffer.from(read.tensors.get(name)!.data.buffer)).toEqual(Buffer.from(data.buffer));
    }
  });

  test("the header is laid out as the specification says", () => {
    const path = join(folder, "w.safetensors");
    writeSafetensors(path, weights);
    const bytes = readFileSync(path);
    const length = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Record<string, unknown>;
    expect(length % 8).toBe(0);
    expect(header["dense/kernel"]).toEqual({ dtype: "F32", shape: [2, 3], data_offsets: [0, 24] });
    expect(bytes.length).toBe(8 + length + 28);
    expect(bytes.readFloatLE(8 + length + 8)).toBe(3.5);
  });

  test("a file cut at any byte is an error, never fewer weights", () => {
    const path = join(folder, "w.safetensors");
    writeSafetensors(path, weights);
    const whole = readFileSync(path);
    for (let length = 0; length < whole.length; length++) {
      writeFileSync(path, whole.subarray(0, length));
      expect(() => readSafetensors(path)).toThrow(KdataError);
    }
  });

  test("hostile headers are typed errors that name the byte", () => {
    const path = join(folder, "w.safetensors");
    const f32 = (offsets: number[], shape = [1]): object => ({ dtype: "F32", shape, data_offsets: offsets });
    for (const [header, data] of [
      [null, 0],
      [[], 0],
      [{ a: null }, 0],
      [{ __metadata__: null }, 0],
      [{ __metadata__: { epoch: 3 } }, 0],
      [{ a: f32([0, 4]) }, 5],
      [{ a: f32([4, 8]) }, 8],
      [{ a: f32([0, 4]), b: f32([0, 4]) }, 4],
      [{ a: f32([0, 4], [2 ** 40]) }, 4],
      [{ a: { ...f32([0, 4]), dtype: "F16" } }, 4],
    ] as const) {
      const json = Buffer.from(JSON.stringify(header));
      const length = Buffer.alloc(8);
      length.writeBigUInt64LE(BigInt(json.length));
      writeFileSync(path, Buffer.concat([length, json, Buffer.alloc(data)]));
      expect(() => readSafetensors(path), JSON.stringify(header)).toThrow(
        expect.objectContaining({ code: "format", at: { source: path, byte: expect.any(Number) as number } }),
      );
    }
  });

  test("a write that fails leaves nothing behind", () => {
    expect(() => {
      writeSafetensors(join(folder, "missing", "w.safetensors"), weights);
    }).toThrow(expect.objectContaining({ code: "output" }));
    expect(readdirSync(folder)).toEqual([]);
  });
});
