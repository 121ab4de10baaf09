// tf.train.Example as protobufjs knows it: the oracle of kdata's own decoders.

import protobuf from "protobufjs";

/** Makes the message type, whose numbers are encoded packed or one by one. */
export function exampleType(packed: boolean): protobuf.Type {
  const list = (type: string): protobuf.IType => ({
    fields: { value: { rule: "repeated", type, id: 1, options: { packed } } },
  });
  const root = protobuf.Root.fromJSON({
    nested: {
      BytesList: list("bytes"),
      FloatList: list("float"),
      Int64List: list("int64"),
      Feature: {
        oneofs: { kind: { oneof: ["bytesList", "floatList", "int64List"] } },
        fields: {
          bytesList: { type: "BytesList", id: 1 },
          floatList: { type: "FloatList", id: 2 },
          int64List: { type: "Int64List", id: 3 },
        },
      },
      Features: { fields: { feature: { keyType: "string", type: "Feature", id: 1 } } },
      Example: { fields: { features: { type: "Features", id: 1 } } },
    },
  } as protobuf.INamespace);
  return root.lookupType("Example");
}
