// The program of the knobs example.

import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const PROGRAM_TIMEOUT_MS = 120_000; // a trainer for each knob, beside whatever else the machine does

test(
  "the program prints what each knob of the backend does, and a recommendation",
  async () => {
    const flags = ["--backends", "onnx", "--steps", "1", "--rounds", "1", "--batch-size", "2"];
    const args = ["scripts/run-example.mjs", "examples/knobs.ts", ...flags];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toMatch(/^onnx +\d+\.\d\d /m);
    for (const knob of ["threads=1", "graphOptimization=disabled", "spinning=true", "precision=mixed_bfloat16"]) {
      expect(stdout).toMatch(new RegExp(`^onnx +${knob} +train +[\\d.]+ `, "m"));
    }
    expect(stdout).toMatch(/^onnx +claims=false +predict /m);
    expect(stdout).toMatch(/^recommended: onnx/m);
  },
  PROGRAM_TIMEOUT_MS,
);
