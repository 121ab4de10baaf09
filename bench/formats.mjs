// How fast small tf.train.Example records are read: 32 floats and one int64 each, both checksums verified by kdata.
//
//   node bench/formats.mjs [--records 200000] [--rounds 7]
//
// The ways in this process take turns, so that what else the machine does falls on all of them; printed are the medians and their
// ratio to the first one. KDATA_PYTHON, where it is set to a Python that has TensorFlow, adds tf.data with parse_example over the same file.

import { execFileSync } from "node:child_process";
import { closeSync, fstatSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import protobuf from "protobufjs";
import { loader, openShard } from "kdata";
import { formatByName, readColumns } from "kdata/readers";
import { writableFormatByName } from "kdata/writers";

const FLOATS = 32;
const BATCH = 1024;
const READ_BYTES = 1 << 19;

const { values } = parseArgs({
  options: { records: { type: "string", default: "200000" }, rounds: { type: "string", default: "7" } },
});
const records = Number(values.records);
const rounds = Number(values.rounds);

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

const folder = mkdtempSync(join(tmpdir(), "kdata-bench-"));
try {
  const path = write();
  await compare(path);
} finally {
  rmSync(folder, { recursive: true });
}

async function compare(path) {
  const ways = {
    "kdata columns": () => columns(path),
    "kdata samples()": () => samples(path),
    "kdata loader, 0 workers": () => loaded(path),
    "protobufjs, no checksums": () => decoded(path),
    "raw read": () => raw(path),
  };
  const rates = new Map(Object.keys(ways).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, way] of Object.entries(ways)) {
      const start = performance.now();
      const count = await way();
      const seconds = (performance.now() - start) / 1000;
      if (count !== records) throw new Error(`${name} read ${count} records of ${records}`);
      rates.get(name).push(count / seconds);
    }
  }
  const python = process.env.KDATA_PYTHON;
  if (python) rates.set("tf.data parse_example", tensorflow(python, path));
  print(rates);
}

function write() {
  const writer = writableFormatByName("tfrecord").create(join(folder, "small"));
  const x = new Float32Array(FLOATS);
  const y = new BigInt64Array(1);
  const features = { x: { dtype: "float32", shape: [FLOATS], data: x }, y: { dtype: "int64", shape: [1], data: y } };
  for (let record = 0; record < records; record++) {
    for (let i = 0; i < FLOATS; i++) x[i] = Math.sin(record * FLOATS + i);
    y[0] = BigInt(record % 1000);
    writer.write({ key: `small/${record}`, origin: { source: "small.tfrecord", record }, features });
  }
  writer.finish();
  return join(folder, "small.tfrecord");
}

function open(path) {
  return openShard(formatByName("tfrecord"), { name: path, paths: [path] });
}

function columns(path) {
  const reader = open(path);
  let count = 0;
  for (const { size } of readColumns(reader, { rows: BATCH })) count += size;
  reader.close();
  return count;
}

function samples(path) {
  const reader = open(path);
  let count = 0;
  for (const { features } of reader.samples()) count += features.y.data.length;
  reader.close();
  return count;
}

async function loaded(path) {
  const batches = await loader(path, { batchSize: BATCH, workers: 0 });
  let count = 0;
  for await (const batch of batches) count += batch.size;
  await batches.close();
  return count;
}

function decoded(path) {
  const file = readFileSync(path);
  let count = 0;
  for (let position = 0; position < file.length; count++) {
    const length = Number(file.readBigUInt64LE(position));
    Example.decode(file.subarray(position + 12, position + 12 + length));
    position += length + 16;
  }
  return count;
}

function raw(path) {
  const file = openSync(path, "r");
  const target = new Uint8Array(READ_BYTES);
  const { size } = fstatSync(file);
  let read = 0;
  while (read < size) read += readSync(file, target, 0, READ_BYTES, read);
  closeSync(file);
  return records;
}

function tensorflow(python, path) {
  const script = fileURLToPath(new URL("peers/tfdata.py", import.meta.url));
  const printed = execFileSync(python, [script, path, String(FLOATS), String(BATCH), String(rounds)], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  });
  return JSON.parse(printed);
}

function print(rates) {
  const [first] = rates.values();
  const base = median(first);
  for (const [name, each] of rates) {
    const rate = median(each);
    console.log(`${name.padEnd(26)} ${(rate / 1e6).toFixed(2).padStart(8)}M records/s   ${(rate / base).toFixed(2)}`);
  }
}

function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}
