// The parity test of a claim: the kernel's value against the composite's expansion, and its slope against the expansion's gradient.

import { KdataError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import { deriveKeyFromName, RandomStream } from "../core/random.ts";
import { elementCount } from "../core/tensor.ts";
import type { HostTensor, Session } from "./backend.ts";
import { claimsOf, setClaims, type Claim } from "./claims.ts";
import { gradient } from "./gradient.ts";
import { Graph, type Sym } from "./graph.ts";
import * as ops from "./ops.ts";
import type { Plan } from "./plan.ts";
import { openBackend } from "./registry.ts";

/** What a kernel's values may differ by, in units of the greatest. */
const VALUE_TOLERANCE = 1e-5;
/** What a slope over two points may differ by, in units of the gradient's: float32 leaves it two or three digits. */
const SLOPE_TOLERANCE = 2e-2;
/** Half the way between these points. */
const STEP = 1e-2;

/** A call to check: float32 inputs of these shapes, and the function that computes it with the composite in it. */
export interface ClaimCheck {
  readonly shapes: readonly (readonly number[])[];
  readonly build: (inputs: readonly Sym[]) => Sym;
}

/** What a check found: the worst differences, in units of the greatest value and of the slope. */
export interface ClaimParity {
  readonly value: number;
  readonly slope: number;
}

/** How `claim` checks what is claimed. */
export interface ClaimOptions {
  /** Calls to check. Default: one of each kind that `attention`, `layerNorm` and `rmsNorm` have; a composite of one's own needs some. */
  readonly checks?: readonly ClaimCheck[];
  /** Compares kernel and expansion first. Default true. */
  readonly check?: boolean;
}

/** Three inputs of one shape. */
const likeThree: ClaimCheck["shapes"] = [
  [2, 5, 4, 8],
  [2, 5, 4, 8],
  [2, 5, 4, 8],
];

const normShapes: ClaimCheck["shapes"] = [[3, 5, 8], [8], [8]];

const knownChecks: Readonly<Record<string, readonly ClaimCheck[]>> = {
  attention: [
    { shapes: likeThree, build: ([q, k, v]) => ops.attention(given(q), given(k), given(v)) },
    { shapes: likeThree, build: ([q, k, v]) => ops.attention(given(q), given(k), given(v), { causal: true }) },
    {
      shapes: [likeThree[0] ?? [], [2, 7, 2, 8], [2, 7, 2, 6]],
      build: ([q, k, v]) => ops.attention(given(q), given(k), given(v), { scale: 0.3, softCap: 5 }),
    },
  ],
  layerNorm: [
    {
      shapes: normShapes,
      build: ([x, gamma, beta]) => ops.layerNorm(given(x), { axes: -1, epsilon: 1e-3, gamma, beta }),
    },
  ],
  rmsNorm: [{ shapes: normShapes, build: ([x, gamma]) => ops.rmsNorm(given(x), { axes: -1, epsilon: 1e-6, gamma }) }],
};

/**
 * Claims a composite on backends: where a plan needs nothing of what is inside it (`evaluate`, `predict`, and what a training step
 * does not differentiate), the backend computes it by the kernel that the claim makes. Elsewhere, and on backends without a claim, it
 * stays its expansion, which also gives its gradient. It holds for models that are compiled from now on, in this process; a later claim for
 * the same composite replaces it, an empty table takes it back. `explain()` says which claims were taken, and why others were not.
 *
 * @param name - `attention`, `layerNorm`, `rmsNorm`, or the name given to `Graph.composite`
 * @param table - by backend, a function from one call to a kernel, or to the reason why there is none for it
 * @throws {KdataError} `backend` when a kernel differs from the expansion; the message has the worst difference. Nothing is claimed then.
 */
export async function claim(
  name: string,
  table: Readonly<Record<string, Claim>>,
  { checks = knownChecks[name], check = true }: ClaimOptions = {},
): Promise<void> {
  const before = Object.fromEntries(claimsOf(name));
  if (check && checks === undefined && Object.keys(table).length > 0) {
    const known = Object.keys(knownChecks);
    const nearest = nearestName(name, known);
    const question = nearest === undefined ? "" : ` (did you mean ${nearest}?)`;
    throw new TypeError(
      `Cannot claim '${name}'${question}: it is none of ${known.join(", ")}; for a composite of one's own give { checks } or { check: false }`,
    );
  }
  setClaims(name, table);
  if (!check) return;
  try {
    for (const backend of Object.keys(table)) for (const one of checks ?? []) await checkClaim(name, backend, one);
  } catch (error) {
    setClaims(name, before);
    throw error;
  }
}

/**
 * Compares the kernel that is claimed for a composite with its expansion, on random inputs: values, and the slope along a random
 * direction with the gradient of the expansion. A call for which the claim gives no kernel agrees by itself.
 *
 * @throws {KdataError} `backend` when they differ; the message has the worst difference. `package` when the backend is not here.
 */
export async function checkClaim(name: string, backend: string, check: ClaimCheck): Promise<ClaimParity> {
  const session = await (await openBackend(backend)).open(new Map());
  try {
    const inputs = check.shapes.map((shape, i) => random(`${name} ${i}`, shape));
    const graph = new Graph();
    const syms = check.shapes.map((shape, i) => graph.input(`x${i}`, shape, "float32"));
    const result = check.build(syms);
    const weighted = ops.sum(ops.mul(result, graph.constant(random(`${name} weights`, result.shape))));
    const feeds = Object.fromEntries(syms.map((sym, i) => [`x${i}`, sym]));
    const slopes = gradient(weighted, syms);
    const spec = { name: `claim ${name}`, feeds, state: {}, updates: {} };
    const gradients = Object.fromEntries(slopes.map((slope, i) => [`g${i}`, slope]));
    const claimed = graph.plan({ ...spec, outputs: { y: result } });
    const sum = graph.plan({ ...spec, outputs: { y: weighted } });
    const [wanted, found] = [await run(session, unclaimed(claimed), inputs), await run(session, claimed, inputs)];
    const value = worst(elements(wanted, "y"), elements(found, "y"));
    const directions = check.shapes.map((shape, i) => random(`${name} direction ${i}`, shape));
    const exact = await run(session, unclaimed(graph.plan({ ...spec, outputs: gradients })), inputs);
    const expected = directions.reduce((total, { data }, i) => total + dot(data, elements(exact, `g${i}`)), 0);
    const sides = [STEP, -STEP].map((step) => run(session, sum, moved(inputs, directions, step)));
    const [above, below] = await Promise.all(sides);
    const slope = ((elements(above, "y")[0] ?? NaN) - (elements(below, "y")[0] ?? NaN)) / (2 * STEP);
    const parity = { value, slope: Math.abs(slope - expected) / Math.max(1, Math.abs(expected)) };
    if (parity.value <= VALUE_TOLERANCE && parity.slope <= SLOPE_TOLERANCE) return parity;
    const differences = `values by ${parity.value.toExponential(1)}, slope by ${parity.slope.toExponential(1)}`;
    throw new KdataError(
      "backend",
      `Cannot claim '${name}' on ${backend}: the kernel differs from the expansion (${differences})`,
    );
  } finally {
    await session.close();
  }
}

function given(sym: Sym | undefined): Sym {
  if (sym === undefined) throw new RangeError("Cannot check claim: there are too few shapes");
  return sym;
}

function unclaimed(plan: Plan): Plan {
  return { ...plan, composites: [] };
}

async function run(session: Session, plan: Plan, inputs: readonly HostTensor[]): Promise<Map<string, HostTensor>> {
  const program = await session.compile(plan);
  return program.run(new Map(inputs.map((input, i) => [`x${i}`, input])));
}

function random(name: string, shape: readonly number[]): HostTensor {
  const stream = new RandomStream(deriveKeyFromName(0, name));
  const data = Float32Array.from({ length: elementCount(shape) }, () => stream.normal());
  return { dtype: "float32", shape, data };
}

function moved(inputs: readonly HostTensor[], directions: readonly HostTensor[], step: number): HostTensor[] {
  return inputs.map(({ shape, data }, i) => {
    const direction = directions[i]?.data ?? data;
    return { dtype: "float32", shape, data: Float32Array.from(data, (x, place) => x + step * (direction[place] ?? 0)) };
  });
}

function elements(outputs: ReadonlyMap<string, HostTensor> | undefined, name: string): HostTensor["data"] {
  return outputs?.get(name)?.data ?? new Float32Array();
}

function dot(a: HostTensor["data"], b: HostTensor["data"]): number {
  let total = 0;
  for (const [i, value] of a.entries()) total += value * (b[i] ?? NaN);
  return total;
}

/** The greatest difference in units of the greatest value; NaN counts as infinitely far. */
function worst(wanted: HostTensor["data"], found: HostTensor["data"]): number {
  let [difference, size] = [0, 1e-30];
  for (const [i, value] of wanted.entries()) {
    const distance = Math.abs(value - (found[i] ?? NaN));
    difference = Math.max(difference, Number.isNaN(distance) ? Infinity : distance);
    size = Math.max(size, Math.abs(value));
  }
  return difference / size;
}
