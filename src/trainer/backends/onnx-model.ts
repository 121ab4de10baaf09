// A plan as one ONNX model: feeds and state are its inputs, updates and outputs its outputs. Standard operators, static shapes.
// https://github.com/onnx/onnx/blob/main/docs/IR.md

import type { HostTensor } from "../backend.ts";
import { takeClaims, type TakenClaim, type TakenClaims } from "../composites.ts";
import type { Plan, PlanNode } from "../plan.ts";
import { nodeOf } from "../plan-node.ts";
import { planOfAnyBatch, planOfOneBatch, type BatchAxes, type PlanOfBatch } from "./onnx-batch.ts";
import { constant, type ModelDraft, type Operand } from "./onnx-draft.ts";
import { appendKernel } from "./onnx-kernel.ts";
import { appendNode } from "./onnx-operators.ts";
import { dataTypes, encodeModel, type DimensionProto, type ValueInfoProto } from "./onnx-proto.ts";

/** The newest versions whose models every ONNX Runtime since 1.17 reads. */
const OPSET_VERSION = 20;
const IR_VERSION = 9;

/** The name of the batch size in the types of inputs and outputs. */
const BATCH_DIMENSION = "batch";

/** A model and the names of its inputs and outputs, by the names of the plan. */
export interface OnnxModel {
  readonly bytes: Uint8Array;
  /** What became of the claims in the plan. */
  readonly claims: TakenClaims;
  /** How many operators it has, before the engine fuses any. */
  readonly operators: number;
  readonly feeds: ReadonlyMap<string, string>;
  readonly state: ReadonlyMap<string, string>;
  readonly updates: ReadonlyMap<string, string>;
  readonly outputs: ReadonlyMap<string, string>;
}

/** What goes into a model beside the plan. */
export interface OnnxModelOptions {
  /** Computes composites by the kernels that are claimed for them under this name. Default: none is. */
  readonly claimsOf?: string;
  /** Values of state to store in the model as constants. State that is not here is an input. */
  readonly state?: ReadonlyMap<string, HostTensor>;
}

/**
 * Writes a plan as the bytes of an `.onnx` file.
 *
 * Its inputs are the feeds and the state that `options.state` does not hold, its outputs the plan's outputs and updates.
 * Feeds and outputs keep their names (an output with the name of an input gets `_1` behind it).
 *
 * A function that makes the plan of a batch size gives a model that takes any: the axes that follow it are named `batch`.
 *
 * @throws {KdataError} `unsupported` when a function was given and what the plan computes depends on the batch size.
 */
export function planToOnnx(plan: Plan | PlanOfBatch, options: OnnxModelOptions = {}): Uint8Array {
  return buildOnnxModel(plan, options).bytes;
}

/** Writes a plan as an ONNX model, with the names under which to run it. */
export function buildOnnxModel(traced: Plan | PlanOfBatch, options: OnnxModelOptions = {}): OnnxModel {
  const { plan, batchAxes } = typeof traced === "function" ? planOfAnyBatch(traced) : planOfOneBatch(traced);
  const uniqueName = nameGiver();
  const feeds = nameAll(plan.feeds, uniqueName, "");
  const outputs = nameAll(plan.outputs, uniqueName, "");
  const state = nameAll(plan.state, uniqueName, "state/");
  const updates = nameAll(plan.updates, uniqueName, "update/");

  const draft: ModelDraft = { nodes: [], constants: new Map(), sharedNames: new Map(), uniqueName, plan, batchAxes };
  const operands = inputOperands(plan, feeds, state);
  const results: Result[] = [...resultsOf(plan, plan.outputs, outputs), ...resultsOf(plan, plan.updates, updates)];
  const claims: TakenClaims =
    options.claimsOf === undefined ? { taken: [], left: [] } : takeClaims(plan, options.claimsOf);
  appendNodes(draft, plan, operands, results, claims.taken);

  const stored = new Set<string>();
  for (const [name, value] of options.state ?? []) {
    const input = state.get(name);
    if (input === undefined) continue;
    draft.constants.set(input, constant(input, value));
    stored.add(input);
  }
  const bytes = encodeModel({
    irVersion: IR_VERSION,
    producerName: "kdata",
    opsetImport: opsets(claims.taken),
    graph: {
      name: plan.name,
      node: draft.nodes,
      initializer: [...draft.constants.values()],
      input: [...operands.values()]
        .filter(({ name }) => !stored.has(name))
        .map(({ name, node }) => valueInfo(name, node, batchAxes(node))),
      output: results.map(({ name, node }) => valueInfo(name, node, batchAxes(node))),
    },
  });
  return { bytes, claims, operators: draft.nodes.length, feeds, state, updates, outputs };
}

/** The standard operators, in the newest version that a kernel asks for, and the other domains of kernels. */
function opsets(taken: readonly TakenClaim[]): { readonly domain: string; readonly version: number }[] {
  const version = Math.max(OPSET_VERSION, ...taken.map(({ kernel }) => kernel.opset ?? OPSET_VERSION));
  const domains = new Set(taken.flatMap(({ kernel }) => kernel.nodes.map(({ domain = "" }) => domain)));
  domains.delete("");
  return [{ domain: "", version }, ...Array.from(domains, (domain) => ({ domain, version: 1 }))];
}

/** A value that the model hands out: its name there and the node that makes it. */
interface Result {
  readonly name: string;
  readonly node: PlanNode;
}

/** Gives each wanted name once: the second who wants `x` gets `x_1`. */
function nameGiver(): (wanted: string) => string {
  const taken = new Map<string, number>();
  return function uniqueName(wanted) {
    let name = wanted;
    for (let count = taken.get(wanted) ?? 0; taken.has(name); count++) {
      name = `${wanted}_${count + 1}`;
      taken.set(wanted, count + 1);
    }
    taken.set(name, 0);
    return name;
  };
}

function nameAll(
  ids: ReadonlyMap<string, number>,
  uniqueName: (wanted: string) => string,
  prefix: string,
): Map<string, string> {
  return new Map(Array.from(ids.keys(), (name) => [name, uniqueName(prefix + name)]));
}

function inputOperands(
  plan: Plan,
  feeds: ReadonlyMap<string, string>,
  state: ReadonlyMap<string, string>,
): Map<number, Operand> {
  const operands = new Map<number, Operand>();
  for (const [ids, names] of [
    [plan.feeds, feeds],
    [plan.state, state],
  ] as const) {
    for (const [key, name] of names) {
      const node = nodeOf(plan, ids.get(key));
      operands.set(node.id, { name, node });
    }
  }
  return operands;
}

function resultsOf(plan: Plan, ids: ReadonlyMap<string, number>, names: ReadonlyMap<string, string>): Result[] {
  return Array.from(names, ([key, name]) => ({ name, node: nodeOf(plan, ids.get(key)) }));
}

/** Appends every node. A result is made under its own name; one that is an input, a constant or a second name is copied. */
function appendNodes(
  draft: ModelDraft,
  plan: Plan,
  inputs: ReadonlyMap<number, Operand>,
  results: readonly Result[],
  claims: readonly TakenClaim[],
): void {
  const operands = new Map(inputs);
  const claimed = new Map(claims.map((claim) => [claim.composite.output, claim]));
  const needless = new Set(claims.flatMap(({ inside }) => [...inside]));
  const resultNames = new Map<number, string>();
  for (const { name, node } of results) {
    if (node.op.kind !== "const" && !resultNames.has(node.id)) resultNames.set(node.id, name);
  }
  for (const node of plan.nodes) {
    if (operands.has(node.id) || needless.has(node.id)) continue;
    const name = resultNames.get(node.id) ?? draft.uniqueName(`value/${node.id}`);
    const claim = claimed.get(node.id);
    const sources = (claim?.composite.inputs ?? node.inputs).map((id) => operandOf(operands, id));
    if (claim) appendKernel(draft, claim, sources, name);
    else appendNode(draft, node, sources, name);
    operands.set(node.id, { name, node });
  }
  for (const { name, node } of results) {
    const made = operandOf(operands, node.id).name;
    if (made === name) continue;
    draft.nodes.push({
      name: `Identity_${draft.nodes.length}`,
      opType: "Identity",
      input: [made],
      output: [name],
      attribute: [],
    });
  }
}

function operandOf(operands: ReadonlyMap<number, Operand>, id: number): Operand {
  const operand = operands.get(id);
  if (operand === undefined) throw new RangeError(`Cannot read plan: node ${id} is used before it is made`);
  return operand;
}

function valueInfo(name: string, { shape, dtype }: PlanNode, batchAxes: BatchAxes): ValueInfoProto {
  const dim = shape.map((size, axis): DimensionProto => {
    if (!batchAxes.has(axis)) return { dimValue: size };
    return batchAxes.get(axis) === 1 ? { dimParam: BATCH_DIMENSION } : {};
  });
  return { name, type: { tensorType: { elemType: dataTypes[dtype], shape: { dim } } } };
}
