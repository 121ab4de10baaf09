// A backend's own attention in place of the composed one: the standard `Attention` operator on ONNX Runtime, for a model that does
// not know of it. https://onnx.ai/onnx/operators/onnx__Attention.html
//
//   npm run example:custom-attention
//
// The claim holds on `onnx`, where nothing needs the attention weights (evaluation, prediction). Training, and every other backend, keep the
// composed attention. `claim` compares values and slopes of both first, and throws when they differ.

import { checkClaim, claim, layers, losses, ops, optimizers, Trainer, type Claim, type Sym } from "kdata/trainer";
import type { Batch } from "kdata/core";

const TRAINED_STEPS = 3;

/** Makes the operators of one attention: heads are the third axis here, a part of the last one there. */
export const onnxAttention: Claim = ({ inputs, output, attributes }) => {
  const [q, k] = inputs;
  if (inputs.length > 3) return "it has a mask";
  if (attributes["dropout"] !== 0) return "its weights drop out";
  if (attributes["causal"] === true && q?.shape[1] !== k?.shape[1]) return "it is causal over keys of another length";
  const [, , heads = 1, size = 1] = output.shape;
  return {
    opset: 23,
    nodes: [
      { opType: "Constant", inputs: [], outputs: ["joined"], attributes: { value_ints: [0, 0, -1] } },
      { opType: "Reshape", inputs: ["input0", "joined"], outputs: ["q"] },
      { opType: "Reshape", inputs: ["input1", "joined"], outputs: ["k"] },
      { opType: "Reshape", inputs: ["input2", "joined"], outputs: ["v"] },
      {
        opType: "Attention",
        inputs: ["q", "k", "v"],
        outputs: ["attended"],
        attributes: {
          q_num_heads: heads,
          kv_num_heads: k?.shape[2] ?? heads,
          is_causal: attributes["causal"] === true ? 1 : 0,
          scale: { float: Number(attributes["scale"]) },
          softcap: { float: Number(attributes["softCap"]) },
        },
      },
      { opType: "Constant", inputs: [], outputs: ["apart"], attributes: { value_ints: [0, 0, heads, size] } },
      { opType: "Reshape", inputs: ["attended", "apart"], outputs: ["output"] },
    ],
  };
};

/** A small encoder over `[batch, length, 64]`, written without a thought of any backend. */
export function encoder() {
  const block = () =>
    layers.residual(
      layers.sequential([layers.layerNormalization(), layers.multiHeadAttention({ numHeads: 4, keyDim: 16 })]),
    );
  return layers.model({ blocks: [block(), block()], head: layers.dense(4) }, (x: Sym, { blocks, head }) =>
    head.apply(
      ops.mean(
        blocks.reduce((value, one) => one.apply(value), x),
        { axes: 1 },
      ),
    ),
  );
}

/** What one backend took with or without the claim. */
export interface Row {
  readonly backend: string;
  readonly claimed: boolean;
  readonly msPerStep: number;
  /** Of each step that was trained before. */
  readonly losses: readonly number[];
  readonly prediction: readonly number[];
  /** What `explain()` says of the claim. */
  readonly said: string;
}

/** Trains three steps and predicts `steps` batches, with and without the claim, on each backend. */
export async function run(backends: readonly string[], { steps = 20, length = 64 } = {}): Promise<Row[]> {
  const rows: Row[] = [];
  for (const claimed of [false, true]) {
    await claim("attention", claimed ? { onnx: onnxAttention } : {});
    for (const backend of backends) rows.push({ backend, claimed, ...(await measure(backend, steps, length)) });
  }
  await claim("attention", {});
  return rows;
}

async function measure(backend: string, steps: number, length: number): Promise<Omit<Row, "backend" | "claimed">> {
  const trainer = new Trainer(encoder(), {
    backend,
    optimizer: optimizers.adam(),
    loss: losses.sparseCategoricalCrossentropy({ fromLogits: true }),
    seed: 2,
  });
  try {
    const data = source(batch(length));
    const { loss = [] } = await trainer.fit(data, { epochs: TRAINED_STEPS });
    const { data: prediction } = await trainer.predict(data);
    const times: number[] = [];
    for (let step = 0; step < steps; step++) {
      const start = performance.now();
      await trainer.predict(data);
      times.push(performance.now() - start);
    }
    const said = Object.entries(trainer.explain()).filter(([name]) => name.includes("claimed"));
    return {
      msPerStep: times.sort((a, b) => a - b)[steps >> 1] ?? NaN,
      losses: loss,
      prediction: [...prediction],
      said: said.map(([name, value]) => `${name}: ${value}`).join("; "),
    };
  } finally {
    await trainer.close();
  }
}

function batch(length: number): Batch {
  const rows = 16;
  const made: Batch = {
    size: rows,
    padded: 0,
    features: {
      x: {
        dtype: "float32",
        shape: [rows, length, 64],
        data: Float32Array.from({ length: rows * length * 64 }, (_, i) => Math.sin(i * 0.37)),
      },
      y: { dtype: "int32", shape: [rows], data: Int32Array.from({ length: rows }, (_, i) => i % 4) },
    },
    keys: Array.from({ length: rows }, (_, i) => String(i)),
    epoch: 0,
    step: 0,
    release: () => undefined,
    copy: () => made,
  };
  return made;
}

function source(one: Batch): AsyncIterable<Batch> {
  return {
    async *[Symbol.asyncIterator]() {
      await Promise.resolve();
      yield one;
    },
  };
}

/** Prints parity and the table. */
export async function main(): Promise<void> {
  await claim("attention", { onnx: onnxAttention }); // throws when kernel and expansion differ
  const parity = await checkClaim("attention", "onnx", {
    shapes: [
      [2, 64, 4, 16],
      [2, 64, 4, 16],
      [2, 64, 4, 16],
    ],
    build: ([q, k, v]) => (q && k && v ? ops.attention(q, k, v) : ops.sum((q ?? k) as Sym)),
  });
  process.stdout.write(
    `values differ by ${parity.value.toExponential(1)}, slopes by ${parity.slope.toExponential(1)}\n`,
  );
  for (const length of [64, 256]) {
    process.stdout.write(`length ${length}: milliseconds to predict a batch of 16\n`);
    for (const row of await run(["onnx", "tfjs", "jax"], { length })) {
      const kind = row.claimed ? "claimed " : "composed";
      process.stdout.write(`  ${row.backend.padEnd(5)} ${kind} ${row.msPerStep.toFixed(2).padStart(8)}  ${row.said}\n`);
    }
  }
}
