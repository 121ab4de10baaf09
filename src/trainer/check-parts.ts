// What a trainer is given, held to what it has to be: in JavaScript nothing else tells a name from what it names.

import { KdataError } from "../core/errors.ts";
import { nearestName } from "../core/nearest.ts";
import type { Callback } from "./callbacks/callback.ts";
import { Layer } from "./layers/layer.ts";
import type { Metric } from "./metrics/metric.ts";

const action = "Cannot make trainer";

/**
 * Refuses a model, a loss, an optimizer or metrics that are none: a name in quotes, or the function that makes one.
 *
 * @throws {TypeError} that says what was given.
 */
export function checkParts(
  model: unknown,
  { optimizer, loss, metrics }: { readonly optimizer: unknown; readonly loss: unknown; readonly metrics: unknown },
): void {
  if (!(model instanceof Layer)) throw new TypeError(`${action}: ${misfit("model", model, "layers")}`);
  checkPart("optimizer", optimizer, "optimizers", "update");
  checkPart("loss", loss, "losses", "build");
  if (!Array.isArray(metrics)) throw new TypeError(`${action}: metrics is ${shown(metrics)}, not a list`);
  for (const metric of metrics as unknown[]) checkPart("metric", metric, "metrics", "result");
}

/**
 * Refuses callbacks that are none.
 *
 * @throws {TypeError} that says what was given.
 */
export function checkCallbacks(callbacks: readonly unknown[]): void {
  for (const callback of callbacks) {
    if (typeof callback === "object" && callback !== null) continue;
    throw new TypeError(`Cannot fit: ${misfit("callback", callback, "callbacks")}`);
  }
}

/**
 * Refuses to watch a number that no epoch will have, before there is one.
 *
 * @param watched - the numbers, and who watches them
 * @param metrics - of the trainer
 * @param isValidated - whether epochs have numbers of a validation
 * @throws {KdataError} `usage` that lists the numbers there are, with the nearest one.
 */
export function checkMonitors(
  watched: readonly Required<Pick<Callback, "monitor">>["monitor"][],
  metrics: readonly Metric[],
  isValidated: boolean,
): void {
  const own = ["loss", ...metrics.map(({ name }) => name)];
  const names = isValidated ? [...own, ...own.map((name) => `val_${name}`)] : own;
  for (const { name, by } of watched) {
    // A metric may have a number for each class: accuracy/0.
    if (names.some((known) => name === known || name.startsWith(`${known}/`))) continue;
    const nearest = nearestName(name, names);
    const question = nearest === undefined ? undefined : `did you mean '${nearest}'?`;
    const hint = name.startsWith("val_") && !isValidated ? "give fit a validation" : question;
    throw new KdataError("usage", `Cannot monitor '${name}' in ${by}: an epoch has only ${names.join(", ")}`, {
      ...(hint !== undefined && { hint }),
    });
  }
}

function checkPart(what: string, given: unknown, family: string, method: string): void {
  const value: unknown = typeof given === "object" && given !== null ? Reflect.get(given, method) : undefined;
  if (typeof value !== "function") throw new TypeError(`${action}: ${misfit(what, given, family)}`);
}

function misfit(what: string, given: unknown, family: string): string {
  if (typeof given === "function") return `${what} is the function ${given.name || "without a name"}; call it`;
  return `${what} is ${shown(given)}, not one of ${family}`;
}

function shown(given: unknown): string {
  if (typeof given === "string") return JSON.stringify(given);
  return typeof given === "object" && given !== null ? "an object" : String(given);
}
