// The table of a model: one row a layer, its output, its parameters.

import { elementCount } from "../core/tensor.ts";
import type { TracedModel } from "./layers.ts";

const BYTES_PER_PARAMETER = 4; // float32

/** Formats a traced model as a table of layers, output shapes and parameter counts; the batch axis shows as `B`. */
export function formatSummary({ layers, parameters }: TracedModel): string {
  const rows = layers.map((layer) => [
    layer.path,
    layer.type,
    `[${["B", ...layer.outputShape.slice(1)].join(", ")}]`,
    layer.parameterCount.toLocaleString("en-US"),
  ]);
  const header = ["layer", "type", "output", "parameters"];
  const widths = header.map((title, i) => Math.max(title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const lines = [header, ...rows].map((row) =>
    row.map((cell, i) => (i === 3 ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join("  "),
  );
  const total = count(parameters);
  const trainable = count(parameters.filter(({ parameter }) => parameter.trainable));
  const megabytes = ((total * BYTES_PER_PARAMETER) / 1e6).toFixed(2);
  lines.push(
    `total ${total.toLocaleString("en-US")} parameters (${megabytes} MB), ` +
      `${trainable.toLocaleString("en-US")} trainable`,
  );
  return lines.join("\n");
}

function count(parameters: TracedModel["parameters"]): number {
  return parameters.reduce((sum, { parameter }) => sum + elementCount(parameter.shape), 0);
}
