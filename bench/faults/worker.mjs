// Reads damaged files with kdata and hyparquet: one file a line, as JSON in, as JSON out. In a process of its own, which may die.
//
// In: {"reader": NAME, "format": FORMAT, "path": PATH}. Out: {"attempts": [{"digests": [...], "error": {...}?}, ...], "peak": MIB}.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { parquetReadObjects } from "hyparquet";
import { KdataError, openShard } from "kdata";
import { defaultKey } from "kdata/core";
import { formatByName } from "kdata/readers";

const readers = { kdata: [inOrder, byNumber], "kdata, with an index": [byNumberWithIndex], hyparquet: [hyparquet] };

for await (const line of createInterface({ input: process.stdin })) {
  const { reader, format, path } = JSON.parse(line);
  const attempts = [];
  for (const read of readers[reader]) attempts.push(await attempt(read, format, path));
  const peak = process.resourceUsage().maxRSS / 1024;
  process.stdout.write(`${JSON.stringify({ attempts, peak })}\n`);
}

async function attempt(read, format, path) {
  const digests = [];
  try {
    for await (const sample of read(format, path)) digests.push(digestOf(sample));
    return { digests };
  } catch (error) {
    const { name, message } = error instanceof Error ? error : { name: "", message: String(error) };
    if (!(error instanceof KdataError)) return { digests, error: { type: name, message } };
    const { at } = error;
    return { digests, error: { type: name, message, hasPlace: at?.byte !== undefined || at?.record !== undefined } };
  }
}

function* inOrder(format, path) {
  const reader = openShard(formatByName(format), { name: path, paths: [path] });
  try {
    for (const sample of reader.samples()) yield ownOf(sample);
  } finally {
    reader.close();
  }
}

function* byNumber(format, path, options = {}) {
  const reader = openShard(formatByName(format), { name: path, paths: [path] }, options);
  try {
    const count = reader.count();
    for (let record = 0; record < count; record++) {
      yield ownOf(reader.read(record));
    }
  } finally {
    reader.close();
  }
}

/** What is the sample's own: a key that is made of its place is not. */
function ownOf({ key, origin: { source, record }, features }) {
  return { key: key === defaultKey({ source, record }) ? "" : key, features };
}

/** A file that is not the one that the index was made of is reported to the program, which stops here. */
function* byNumberWithIndex(format, path) {
  const onIgnoredIndex = (reason) => {
    throw new KdataError("format", `Cannot use the index: ${reason}`, { at: { source: path, byte: 0 } });
  };
  yield* byNumber(format, path, { onIgnoredIndex });
}

async function* hyparquet(_format, path) {
  const { buffer, byteOffset, byteLength } = readFileSync(path);
  yield* await parquetReadObjects({ file: buffer.slice(byteOffset, byteOffset + byteLength) });
}

function digestOf(value) {
  return createHash("sha1").update(JSON.stringify(value, plain)).digest("base64").slice(0, 12);
}

function plain(_name, value) {
  if (typeof value === "bigint" || Object.is(value, -0) || (typeof value === "number" && !Number.isFinite(value))) {
    return `number ${Object.is(value, -0) ? "-0" : value}`;
  }
  if (!ArrayBuffer.isView(value)) return value;
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64");
}
