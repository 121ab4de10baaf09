// The files that bench/formats.mjs reads, written by kdata.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writableFormatByName } from "kdata/writers";

/** Writes a shard of `records` samples; `features` gives those of one. Gives its path. */
export function writeShard(folder, name, format, records, features) {
  const writable = writableFormatByName(format);
  const writer = writable.create(join(folder, name));
  const source = `${name}.${writable.extension}`;
  for (let record = 0; record < records; record++) {
    const key = format === "webdataset" ? String(record).padStart(8, "0") : `${name}/${record}`;
    writer.write({ key, origin: { source, record }, features: features(record) });
  }
  const [file] = writer.finish().files;
  return file.path;
}

/** Makes a function that gives floats `x` and a whole number `y`. */
export function smallFeatures(floats) {
  const x = new Float32Array(floats);
  const y = new BigInt64Array(1);
  const features = { x: { dtype: "float32", shape: [floats], data: x }, y: { dtype: "int64", shape: [1], data: y } };
  return (record) => {
    for (let i = 0; i < floats; i++) x[i] = Math.sin(record * floats + i);
    y[0] = BigInt(record % 1000);
    return features;
  };
}

/** Makes a function that gives an image `jpg` of `bytes` bytes, which only begins like one, and a class `cls`. */
export function imageFeatures(bytes) {
  const jpg = Uint8Array.from({ length: bytes }, (_, i) => Math.imul(i, 2654435761) >>> 11);
  jpg.set([0xff, 0xd8, 0xff, 0xe0]);
  const cls = new BigInt64Array(1);
  const features = { jpg, cls: { dtype: "int64", shape: [], data: cls } };
  return (record) => {
    jpg[9] = record;
    cls[0] = BigInt(record % 1000);
    return features;
  };
}

/** Writes an array of float32 rows: the header is numpy's own form. Gives its path. */
export function writeRows(folder, name, rows, rowFloats) {
  const data = new Float32Array(rows * rowFloats);
  for (let i = 0; i < data.length; i++) data[i] = i % 977;
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${rowFloats}), }`;
  const header = Buffer.alloc(128, " ");
  header.write("\x93NUMPY\x01\x00", 0, "latin1");
  header.writeUInt16LE(118, 8);
  header.write(text, 10);
  header.write("\n", 127);
  const path = join(folder, `${name}.npy`);
  writeFileSync(path, Buffer.concat([header, Buffer.from(data.buffer)]));
  return path;
}

/** Writes lines of JSON with a text, whole numbers and decimals. Gives its path. */
export function writeLines(folder, lines) {
  const path = join(folder, "lines.jsonl");
  const line = (i) =>
    JSON.stringify({
      id: i,
      text: `line ${i} of a text that is about as long as a caption`,
      score: i / 7,
      tags: [i % 5, 3],
    });
  writeFileSync(path, `${Array.from({ length: lines }, (_, i) => line(i)).join("\n")}\n`);
  return path;
}

/** Parses every line with JSON.parse alone. */
export function parseLines(path) {
  let count = 0;
  for (const line of readFileSync(path, "utf8").split("\n"))
    if (line !== "") count += Number(JSON.parse(line) !== null);
  return count;
}
