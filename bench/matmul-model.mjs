// An ONNX model of independent matrix products, written with protobufjs: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto

import protobuf from "protobufjs";

const OPSET = 17;
const IR_VERSION = 8;
const FLOAT = 1;

const field = (type, id, rule) => ({ type, id, ...(rule && { rule }) });
const { ModelProto } = protobuf.Root.fromJSON({
  nested: {
    ModelProto: {
      fields: {
        irVersion: field("int64", 1),
        opsetImport: field("OperatorSet", 8, "repeated"),
        graph: field("Graph", 7),
      },
    },
    OperatorSet: { fields: { domain: field("string", 1), version: field("int64", 2) } },
    Graph: {
      fields: {
        node: field("Node", 1, "repeated"),
        name: field("string", 2),
        input: field("ValueInfo", 11, "repeated"),
        output: field("ValueInfo", 12, "repeated"),
      },
    },
    Node: {
      fields: {
        input: field("string", 1, "repeated"),
        output: field("string", 2, "repeated"),
        opType: field("string", 4),
      },
    },
    ValueInfo: { fields: { name: field("string", 1), type: field("Type", 2) } },
    Type: { fields: { tensorType: field("TensorType", 1) } },
    TensorType: { fields: { elemType: field("int32", 1), shape: field("Shape", 2) } },
    Shape: { fields: { dim: field("Dimension", 1, "repeated") } },
    Dimension: { fields: { dimValue: field("int64", 1) } },
  },
}).nested;

/** Makes a model of `c<i> = a<i> b<i>` for each `[rows, inner, columns]`. */
export function matmulModel(sizes) {
  const value = (name, shape) => ({
    name,
    type: { tensorType: { elemType: FLOAT, shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
  });
  const graph = {
    name: "products",
    node: sizes.map((_, i) => ({ input: [`a${i}`, `b${i}`], output: [`c${i}`], opType: "MatMul" })),
    input: sizes.flatMap(([rows, inner, columns], i) => [
      value(`a${i}`, [rows, inner]),
      value(`b${i}`, [inner, columns]),
    ]),
    output: sizes.map(([rows, , columns], i) => value(`c${i}`, [rows, columns])),
  };
  return ModelProto.encode({
    irVersion: IR_VERSION,
    opsetImport: [{ domain: "", version: OPSET }],
    graph,
  }).finish();
}

/** Opens such a model in onnxruntime with two threads; what is returned runs it once. */
export async function openProducts(sizes) {
  const { default: ort } = await import("onnxruntime-node");
  const opened = await ort.InferenceSession.create(matmulModel(sizes), { intraOpNumThreads: 2 });
  const feeds = {};
  for (const [i, [rows, inner, columns]] of sizes.entries()) {
    feeds[`a${i}`] = new ort.Tensor("float32", new Float32Array(rows * inner).fill(0.5), [rows, inner]);
    feeds[`b${i}`] = new ort.Tensor("float32", new Float32Array(inner * columns).fill(0.5), [inner, columns]);
  }
  return () => opened.run(feeds);
}
