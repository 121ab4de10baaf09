// The table of a model: one row a layer, its output, its parameters, the operations of its forward pass.

import { elementCount } from "../core/tensor.ts";
import type { TracedModel } from "./layers.ts";
import { costOf, type PlanCost } from "./plan-cost.ts";

const BYTES_PER_PARAMETER = 4; // float32

/**
 * Formats a traced model as a table of layers, output shapes, parameter counts and floating point operations for one sample;
 * the batch axis shows as `B`.
 */
export function formatSummary(model: TracedModel): string {
  const { layers, parameters, output } = model;
  const batch = Math.max(output.shape[0] ?? 1, 1);
  const { flops, flopsByScope, peakBytes } = costOfForward(model);
  const rows = layers.map((layer) => [
    layer.path,
    layer.type,
    `[${["B", ...layer.outputShape.slice(1)].join(", ")}]`,
    layer.parameterCount.toLocaleString("en-US"),
    formatCount((flopsByScope.get(layer.path) ?? 0) / batch),
  ]);
  const header = ["layer", "type", "output", "parameters", "FLOPs"];
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const lines = [header, ...rows].map((row) =>
    row.map((cell, i) => (i >= 3 ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join("  "),
  );
  const total = count(parameters);
  const trainable = count(parameters.filter(({ parameter }) => parameter.trainable));
  const megabytes = ((total * BYTES_PER_PARAMETER) / 1e6).toFixed(2);
  lines.push(
    `total ${total.toLocaleString("en-US")} parameters (${megabytes} MB), ` +
      `${trainable.toLocaleString("en-US")} trainable`,
    `${formatCount(flops / batch)} FLOPs and ${formatCount(peakBytes / batch)} bytes of activations at most, forward, a sample`,
  );
  return lines.join("\n");
}

function costOfForward({ output }: TracedModel): PlanCost {
  const inputs = output.graph.syms.filter(({ op }) => op.kind === "input");
  const feeds = Object.fromEntries(inputs.map((sym, place) => [String(place), sym]));
  return costOf(output.graph.plan({ name: "summary", feeds, state: {}, updates: {}, outputs: { output } }));
}

/** Writes a count with three digits: `1.23 M`. */
function formatCount(value: number): string {
  const power = value < 1000 ? 0 : Math.min(Math.floor(Math.log10(value) / 3), 4);
  return `${Number((value / 1000 ** power).toPrecision(3))}${["", " k", " M", " G", " T"][power] ?? ""}`;
}

function count(parameters: TracedModel["parameters"]): number {
  return parameters.reduce((sum, { parameter }) => sum + elementCount(parameter.shape), 0);
}
