// The same weights and the same data give the same losses in torch and in Keras, for every model of test/trainer/models.ts.

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Trainer } from "../../src/trainer/index.ts";
import { writeSafetensors } from "../../src/trainer/checkpoint.ts";
import { classLoss, modelCases, type ModelCase } from "../trainer/models.ts";

const STEPS = 50;
const TOLERANCE = 1e-4; // relative
const python = process.env["KDATA_PYTHON"] ?? "python3";
const script = fileURLToPath(new URL("models.py", import.meta.url));

const frameworks = ["torch", "keras"];

const folder = mkdtempSync(join(tmpdir(), "kdata-models-"));
const own = new Map<string, readonly number[]>();
const theirs = new Map<string, Readonly<Record<string, readonly number[]>>>();
beforeAll(async () => {
  for (const one of modelCases) own.set(one.name, await trainHere(one));
  await Promise.all(frameworks.map(async (framework) => theirs.set(framework, await trainThere(framework))));
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

describe.each(frameworks)("%s", (framework) => {
  it.each(modelCases)(`has the losses of kdata at each of ${STEPS} steps: $name`, ({ name }) => {
    const losses = own.get(name) ?? [];
    const misses = losses.map((loss, step) => Math.abs(Number(theirs.get(framework)?.[name]?.[step]) - loss) / loss);
    expect(misses).toHaveLength(STEPS);
    expect(Math.max(...misses)).toBeLessThan(TOLERANCE);
  });
});

/** Writes the initial weights and the data for the others, and trains. */
async function trainHere({ name, make, optimizer, x, y }: ModelCase): Promise<readonly number[]> {
  await using trainer = new Trainer(make().model, { optimizer: optimizer(), loss: classLoss() });
  const batchSize = x.shape[0] ?? 1;
  await trainer.predict({ x }, { batchSize });
  const weights = Array.from(await trainer.weights(), ([path, value]) => [`model/${path}`, value] as const);
  writeSafetensors(join(folder, `${name}.safetensors`), new Map([...weights, ["x", x], ["y", y]]), {});
  const { loss = [] } = await trainer.fit({ x, y }, { epochs: STEPS, batchSize, shuffle: false });
  return loss;
}

async function trainThere(framework: string): Promise<Readonly<Record<string, readonly number[]>>> {
  const { stdout } = await promisify(execFile)(python, [script, framework, folder]);
  return JSON.parse(stdout) as Readonly<Record<string, readonly number[]>>;
}
