import * as ort from "onnxruntime-node";
import { expect, test } from "vitest";
import type { DType } from "../../src/core/tensor.ts";
import { toBatches, toOrtFeeds } from "../../src/integrations/index.ts";
import { loader } from "../../src/loaders/index.ts";
import { encodeModel } from "../../src/trainer/backends/onnx-proto.ts";
import { fixture } from "../cli/run-kdata.ts";
import { collect } from "../loaders/epochs.ts";

/** TensorProto.DataType: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
const elementTypes: Readonly<Record<Exclude<DType, "bfloat16"> | "string", number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  string: 8,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
};

/** A session that gives each input back under its name and `_out`. */
function identities(types: Readonly<Record<string, keyof typeof elementTypes>>): Promise<ort.InferenceSession> {
  const value = (name: string, type: keyof typeof elementTypes) => ({
    name,
    type: { tensorType: { elemType: elementTypes[type], shape: { dim: [{}, {}] } } },
  });
  const entries = Object.entries(types);
  return ort.InferenceSession.create(
    encodeModel({
      irVersion: 9,
      producerName: "test",
      opsetImport: [{ domain: "", version: 20 }],
      graph: {
        name: "identities",
        node: entries.map(([name]) => ({
          name,
          opType: "Identity",
          input: [name],
          output: [`${name}_out`],
          attribute: [],
        })),
        initializer: [],
        input: entries.map(([name, type]) => value(name, type)),
        output: entries.map(([name, type]) => value(`${name}_out`, type)),
      },
    }),
  );
}

test("a session runs on every dtype that ONNX Runtime has, and gives it back", async () => {
  const values = {
    bool: Uint8Array.of(0, 1),
    int8: Int8Array.of(-1, 1),
    uint8: Uint8Array.of(0, 255),
    int16: Int16Array.of(-300, 300),
    uint16: Uint16Array.of(0, 65535),
    int32: Int32Array.of(-70000, 70000),
    uint32: Uint32Array.of(0, 2 ** 32 - 1),
    int64: BigInt64Array.of(-(2n ** 63n), 1n),
    uint64: BigUint64Array.of(0n, 2n ** 64n - 1n),
    float32: Float32Array.of(0.1, NaN),
    float64: Float64Array.of(0.1, -0),
    // Where JavaScript has a Float16Array, as from Node 24 on, onnxruntime-node makes one of the bits and then cannot read it.
    ...(!("Float16Array" in globalThis) && { float16: Uint16Array.of(0x3c00, 0xc000) }),
  };
  const dtypes = Object.keys(values) as (keyof typeof values)[];
  const record = Object.fromEntries(dtypes.map((dtype) => [dtype, { dtype, shape: [1, 2], data: values[dtype]! }]));
  const [batch] = await collect(toBatches([record]));
  const session = await identities(Object.fromEntries(dtypes.map((dtype) => [dtype, dtype])));
  const results = await session.run(toOrtFeeds(batch!, ort));
  for (const dtype of dtypes) {
    const { type, dims, data } = results[`${dtype}_out`]!;
    const bits = (array: ArrayBufferView) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
    expect([type, dims]).toEqual([dtype, [1, 2]]);
    expect(bits(data as Uint8Array)).toEqual(bits(values[dtype]!));
  }
  await session.release();
});

test("the shared memory of workers is copied, and the batch may be released", async () => {
  const rows = await loader(fixture("tfrecord/rows.tfrecord"), { batchSize: 4, workers: 1 });
  const session = await identities({ input: "float32" });
  for await (const batch of rows) {
    const expected = Array.from((batch.features["x"] as { data: Float32Array }).data);
    const feeds = toOrtFeeds(batch, ort, { input: "x" });
    batch.release();
    const { input_out: output } = await session.run(feeds);
    expect(Array.from(output!.data as Float32Array)).toEqual(expected);
  }
  await rows.close();
  await session.release();
});

test("strings become string tensors; bytes, JSON and bfloat16 are refused", async () => {
  const [batch] = await collect(
    toBatches([{ text: ["ä", "b"], half: { dtype: "bfloat16", shape: [2], data: Uint16Array.of(1, 2) } }]),
  );
  const { text } = toOrtFeeds(batch!, ort, { text: "text" });
  expect([text!.type, text!.dims, text!.data]).toEqual(["string", [2], ["ä", "b"]]);
  expect(() => toOrtFeeds(batch!, ort)).toThrow("'half' is bfloat16");
  const folder = await loader(fixture("jsonl/explicit.jsonl"), { batchSize: 1 });
  const [sample] = await collect(folder, 1);
  const bytes = Object.entries(sample!.features).find(
    ([, column]) => Array.isArray(column) && typeof column[0] !== "string",
  );
  expect(() => toOrtFeeds(sample!, ort, { input: bytes![0] })).toThrow("is neither a tensor nor a string");
  await folder.close();
});
