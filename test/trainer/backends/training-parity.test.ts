// Every backend trains every kind of model as the reference backend does: the same losses, step by step.

import { describe, expect, test } from "vitest";

import { tensor } from "../../../src/core/tensor.ts";
import type { Backend, HostTensor } from "../../../src/trainer/backend.ts";
import { openBackend } from "../../../src/trainer/registry.ts";
import { initialState, inspectModel, planTraining } from "../../../src/trainer/train-step.ts";
import { classLoss, modelCases, type ModelCase } from "../models.ts";
import { openCandidates } from "./candidates.ts";
import { elements } from "./plans.ts";

const STEPS = 50;
/** What a loss may differ by, in units of the loss. */
const LOSS_TOLERANCE = 1e-5;
/**
 * The log of a softmax is that of a sum near 1 when a model is sure, and float32 rounds that sum to 6e-8: no backend knows a loss
 * better. The models are trained gently enough to stay above this, where the tolerance means something.
 */
const LEAST_LOSS = 0.02;

const candidates = (await openCandidates()).filter(({ name }) => name !== "reference");
const reference = await openBackend("reference");
const expectations: { readonly one: ModelCase; readonly name: string; readonly expected: readonly number[] }[] = [];
for (const one of modelCases) {
  expectations.push({ one, name: one.name, expected: await trainingLosses(reference, one) });
}

test.each(expectations)("$name learns its batch, and not by heart", ({ expected }) => {
  expect(expected.at(-1)).toBeLessThan(expected[0]! * 0.7);
  expect(Math.min(...expected)).toBeGreaterThan(LEAST_LOSS);
});

describe.each(candidates)("$name", ({ backend, isThread, reason }) => {
  if (backend === undefined) {
    test.skip(`is not here: ${reason}`);
    return;
  }

  // A thread passes tensors on; that it does so is seen with one model.
  test.each(isThread ? expectations.slice(0, 1) : expectations)(
    `agrees on the loss of $name at each of ${STEPS} steps`,
    async ({ one, expected }) => {
      const actual = await trainingLosses(backend, one);
      const misses = expected.map((loss, step) => Math.abs(actual[step]! - loss) / loss);
      expect(Math.max(...misses)).toBeLessThan(LOSS_TOLERANCE);
    },
  );
});

/** Trains a model from its initial weights, and gives the loss of each step. */
async function trainingLosses(
  backend: Backend,
  { make, optimizer: makeOptimizer, x, y }: ModelCase,
): Promise<number[]> {
  const [batch = 1] = x.shape;
  const recipe = { model: make().model, loss: classLoss(), metrics: [], optimizer: makeOptimizer() };
  const { parameters } = inspectModel(recipe.model, x);
  const state = initialState(
    parameters.map(({ parameter }) => parameter),
    recipe.optimizer,
    1,
  );
  const session = await backend.open(state);
  try {
    const program = await session.compile(planTraining(recipe, x, y).plan);
    const weight = tensor("float32", [batch], new Float32Array(batch).fill(1, 0, batch - 1)); // the last sample only fills
    const feeds = new Map<string, HostTensor>(Object.entries({ input: x, target: y, weight }));
    const steps: number[] = [];
    for (let step = 0; step < STEPS; step++) steps.push(elements((await program.run(feeds)).get("loss"))[0]!);
    return steps;
  } finally {
    await session.close();
  }
}
