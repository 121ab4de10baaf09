// The ways to read that bench/formats.mjs compares: each does its work once and gives how many records it saw.
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import protobuf from "protobufjs";
import { openShard } from "kdata";
import { formatByName, readColumns } from "kdata/readers";
import { writableFormatByName } from "kdata/writers";

const READ_BYTES = 1 << 19;

const list = (type) => ({ fields: { value: { rule: "repeated", type, id: 1, options: { packed: true } } } });
const Example = protobuf.Root.fromJSON({
  nested: {
    BytesList: list("bytes"),
    FloatList: list("float"),
    Int64List: list("int64"),
    Feature: {
      fields: {
        bytesList: { type: "BytesList", id: 1 },
        floatList: { type: "FloatList", id: 2 },
        int64List: { type: "Int64List", id: 3 },
      },
    },
    Features: { fields: { feature: { keyType: "string", type: "Feature", id: 1 } } },
    Example: { fields: { features: { type: "Features", id: 1 } } },
  },
}).lookupType("Example");

/** Opens one file. */
export function open(format, path) {
  return openShard(formatByName(format), { name: path, paths: [path] });
}

/** Reads a shard as columns. */
export function columns(format, path, rows) {
  const reader = open(format, path);
  let count = 0;
  for (const { size } of readColumns(reader, { rows })) count += size;
  reader.close();
  return count;
}

/** Reads a shard as samples. */
export function samples(format, path) {
  const reader = open(format, path);
  let count = 0;
  for (const { features } of reader.samples()) count += Number(features !== undefined);
  reader.close();
  return count;
}

/** Finds all records of a shard. */
export function index(format, path) {
  const reader = open(format, path);
  const count = reader.count();
  reader.close();
  return count;
}

/** Writes the samples of one shard in another format, in this thread. */
export function rewrite(from, path, to, stem) {
  const reader = open(from, path);
  const writer = writableFormatByName(to).create(stem);
  for (const sample of reader.samples()) writer.write(sample);
  reader.close();
  return writer.finish().records;
}

/** Decodes every message with protobufjs; no checksum is verified. */
export function protobufjs(path) {
  const file = readFileSync(path);
  let count = 0;
  for (let position = 0; position < file.length; count++) {
    const length = Number(file.readBigUInt64LE(position));
    Example.decode(file.subarray(position + 12, position + 12 + length));
    position += length + 16;
  }
  return count;
}

/** Reads the bytes and does nothing with them. Gives how many. */
export function raw(path) {
  const file = openSync(path, "r");
  const target = new Uint8Array(READ_BYTES);
  const { size } = fstatSync(file);
  let read = 0;
  while (read < size) read += readSync(file, target, 0, READ_BYTES, read);
  closeSync(file);
  return size;
}
