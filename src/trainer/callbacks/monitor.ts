// Which of two values of a monitored number is better, as Keras decides it.

import { KdataError } from "../../core/errors.ts";

/** Whether smaller or larger is better; `auto` goes by the name. */
export type MonitorMode = "auto" | "min" | "max";

/** What grows as a model gets better; Keras asks each metric, of which these are the ones that grow. */
const GROWS = /acc|auc|precision|recall|score|iou/i;

/** Settles `auto`: names of accuracies, areas, scores and the like are to grow, all others to fall. */
export function resolveMode(mode: MonitorMode, monitor: string): "min" | "max" {
  if (mode !== "auto") return mode;
  return GROWS.test(monitor) ? "max" : "min";
}

/** Says whether a value is better than another by more than `minDelta`. NaN is never better. */
export function isBetter(value: number, than: number, mode: "min" | "max", minDelta = 0): boolean {
  return mode === "min" ? value < than - minDelta : value > than + minDelta;
}

/** The value that any other one is better than. */
export function worst(mode: "min" | "max"): number {
  return mode === "min" ? Infinity : -Infinity;
}

/**
 * Takes the monitored number of an epoch.
 *
 * @throws {KdataError} `usage` when there is none of that name.
 */
export function monitored(callback: string, values: Readonly<Record<string, number>>, monitor: string): number {
  const value = values[monitor];
  if (value !== undefined) return value;
  const names = Object.keys(values).join(", ");
  throw new KdataError("usage", `Cannot monitor '${monitor}' in ${callback}: an epoch has only ${names}`, {
    ...(monitor.startsWith("val_") && { hint: "give fit a validation" }),
  });
}
