// An ONNX model while it is written: its operators, its constants, and the attributes of both.
// https://onnx.ai/onnx/operators/

import { bytesOf, type Tensor } from "../../core/tensor.ts";
import type { GraphDType, PlanNode } from "../plan.ts";
import { dependsOnBatch, type BatchPlan } from "./onnx-batch.ts";
import { attributeTypes, dataTypes, type AttributeProto, type NodeProto, type TensorProto } from "./onnx-proto.ts";

/** A value of the graph: its name in the model and the node that made it. */
export interface Operand {
  readonly name: string;
  readonly node: PlanNode;
}

/** Nodes and constants of one model while it is written. */
export interface ModelDraft extends BatchPlan {
  readonly nodes: NodeProto[];
  /** By name. */
  readonly constants: Map<string, TensorProto>;
  /** Constants that several nodes use: a description of the content to the name. */
  readonly sharedNames: Map<string, string>;
  /** Makes names that no other value has. */
  readonly uniqueName: (wanted: string) => string;
}

/** Makes the ONNX constant of a tensor. The elements are copied when the model is encoded. */
export function constant(name: string, { dtype, shape, data }: Tensor<GraphDType>): TensorProto {
  return { name, dims: shape, dataType: dataTypes[dtype], rawData: bytesOf(data) };
}

/**
 * Appends operators for one node: `step` makes a value in between, `last` the node's own. An operator's second output has the
 * name `second`, where it is given.
 */
export interface Emitter {
  step(opType: string, inputs: readonly string[], attributes?: readonly AttributeProto[], second?: string): string;
  last(opType: string, inputs: readonly string[], attributes?: readonly AttributeProto[], second?: string): void;
}

/** Makes the emitter of one node. */
export function emitterFor(draft: ModelDraft, scope: string, result: string): Emitter {
  function append(
    output: readonly string[],
    opType: string,
    input: readonly string[],
    attribute: readonly AttributeProto[],
  ): void {
    const name = `${scope === "" ? "" : `${scope}/`}${opType}_${draft.nodes.length}`;
    draft.nodes.push({ name, opType, input, output, attribute });
  }
  return {
    step(opType, inputs, attributes = [], second) {
      const output = draft.uniqueName(`${result}_`);
      append(second === undefined ? [output] : [output, second], opType, inputs, attributes);
      return output;
    },
    last(opType, inputs, attributes = [], second) {
      append(second === undefined ? [result] : [result, second], opType, inputs, attributes);
    },
  };
}

/** Refuses a value whose size would have to be a constant of the model. */
export function refuseBatchAxes(draft: ModelDraft, node: PlanNode, sized: PlanNode = node): void {
  if (draft.batchAxes(sized).size > 0) throw dependsOnBatch(draft.plan, node, "its size is a constant of the model");
}

/** Makes a vector of ones, once for each length. */
export function vectorOfOnes(draft: ModelDraft, length: number): string {
  return sharedConstant(draft, `ones/${length}`, () => {
    const data = new Float32Array(length).fill(1);
    return { dims: [length], dataType: dataTypes.float32, rawData: bytesOf(data) };
  });
}

/** Makes a constant vector of int64, which ONNX wants for shapes and axes. */
export function int64s(draft: ModelDraft, values: readonly number[]): string {
  return sharedConstant(draft, `int64/${values.join(",")}`, () => {
    const rawData = bytesOf(BigInt64Array.from(values, BigInt));
    return { dims: [values.length], dataType: dataTypes.int64, rawData };
  });
}

/** Makes a constant once for each description of its content, and gives its name. */
export function sharedConstant(draft: ModelDraft, content: string, make: () => Omit<TensorProto, "name">): string {
  const known = draft.sharedNames.get(content);
  if (known !== undefined) return known;
  const name = draft.uniqueName(content);
  draft.sharedNames.set(content, name);
  draft.constants.set(name, { name, ...make() });
  return name;
}

/** Makes an attribute of one whole number. */
export function integer(name: string, value: number): AttributeProto {
  return { name, type: attributeTypes.int, i: value };
}

/** Makes an attribute of whole numbers. */
export function integers(name: string, values: readonly number[]): AttributeProto {
  return { name, type: attributeTypes.ints, ints: values };
}

/** Makes an attribute of text. */
export function text(name: string, value: string): AttributeProto {
  return { name, type: attributeTypes.string, s: new TextEncoder().encode(value) };
}

/** Makes an attribute of a tensor. */
export function tensorAttribute(name: string, value: TensorProto): AttributeProto {
  return { name, type: attributeTypes.tensor, t: value };
}
