// Text made of features by a template, as the prompts of language models are.

import { KdataError } from "../core/errors.ts";
import { featureKind, type Sample } from "../core/sample.ts";
import { replaceFeature, requireFeature } from "./feature.ts";
import { scalarOf } from "./scalar.ts";
import type { Transform } from "./transform.ts";

/** The description that {@link template} returns. */
export interface TemplateDescription {
  readonly transform: "template";
  readonly feature: string;
  readonly text: string;
}

/** A brace that is doubled stands for itself; a name in braces for the feature; a brace by itself is a mistake. */
const PIECES = /\{\{|\}\}|\{([^{}]+)\}|[{}]/g;

/**
 * Makes a string of other features by a template: `{name}` stands for the feature of that name, `{{` and `}}` for braces, as in Python's
 * `str.format`. A feature may be a string, a tensor of one element, or a JSON string, number, boolean or null.
 *
 * @throws {RangeError} when the template has a brace too many.
 * @throws {KdataError} `shape`, for each sample that lacks a feature, or where it is another kind of value.
 *
 * @example
 * const prompt = template("text", "### Question\n{q}\n### Answer\n{a}");
 * assert.equal(applyTransform(prompt, { q: "1 + 1?", a: "2" }).text, "### Question\n1 + 1?\n### Answer\n2");
 */
export function template(feature: string, text: string): TemplateDescription {
  for (const { 0: piece, index } of text.matchAll(PIECES)) {
    if (piece.length > 1) continue;
    throw new RangeError(
      `Cannot fill template '${feature}': the brace at ${index} of its template stands alone; double it`,
    );
  }
  return { transform: "template", feature, text };
}

/** Builds the transform that {@link template} describes. */
export function buildTemplate({ feature, text }: TemplateDescription): Transform {
  return (sample) => {
    const filled = text.replace(PIECES, (piece, name?: string) =>
      name === undefined ? piece.slice(1) : textOf(sample, name, feature),
    );
    return replaceFeature(sample, feature, filled);
  };
}

function textOf(sample: Sample, name: string, feature: string): string {
  const source = requireFeature(sample, name, `fill template '${feature}' with`);
  const value = scalarOf(source);
  if (value !== undefined) return String(value);
  throw new KdataError(
    "shape",
    `Cannot fill template '${feature}': '${name}' is ${featureKind(source)}, not one value`,
    {
      at: sample.origin,
    },
  );
}
