// A claimed kernel as operators of the model: names of its own values become names that nothing else in the model has.

import type { TakenClaim } from "../composites.ts";
import type { KernelNode } from "../plan.ts";
import { integer, integers, text, type ModelDraft, type Operand } from "./onnx-draft.ts";
import { attributeTypes, type AttributeProto } from "./onnx-proto.ts";

/**
 * Appends the operators of a kernel, which make the value `result`.
 *
 * @throws {TypeError} when no operator makes `output`, or one reads what none has made.
 */
export function appendKernel(
  draft: ModelDraft,
  { composite, kernel }: TakenClaim,
  operands: readonly Operand[],
  result: string,
): void {
  const names = new Map(operands.map(({ name }, i) => [`input${i}`, name]));
  names.set("", ""); // an operand that is left out
  function nameOf(name: string): string {
    const known = names.get(name);
    if (known !== undefined) return known;
    throw new TypeError(`Cannot use kernel for ${composite.name}: no operator before it makes '${name}'`);
  }
  for (const { opType, domain, inputs, outputs, attributes = {} } of kernel.nodes) {
    const input = inputs.map(nameOf);
    for (const name of outputs) names.set(name, name === "output" ? result : draft.uniqueName(`${result}_`));
    draft.nodes.push({
      name: `${composite.scope}/${opType}_${draft.nodes.length}`,
      opType,
      ...(domain !== undefined && { domain }),
      input,
      output: outputs.map(nameOf),
      attribute: Object.entries(attributes).map(attributeOf),
    });
  }
  nameOf("output");
}

function attributeOf([name, value]: [string, NonNullable<KernelNode["attributes"]>[string]]): AttributeProto {
  if (typeof value === "number") return integer(name, value);
  if (typeof value === "string") return text(name, value);
  return "float" in value ? { name, type: attributeTypes.float, f: value.float } : integers(name, value);
}
