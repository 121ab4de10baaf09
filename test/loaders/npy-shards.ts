// Small NPY shards made byte by byte, as https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html says.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Writes an array as an NPY file of version 1.0. `descr` is numpy's name of the dtype: `<f4`. */
export function writeNpy(path: string, descr: string, shape: readonly number[], data: ArrayBufferView): void {
  const dict = `{'descr': '${descr}', 'fortran_order': False, 'shape': (${shape.join(", ")},), }`;
  const padded = `${dict.padEnd(Math.ceil((dict.length + 11) / 64) * 64 - 11)}\n`;
  const preamble = Buffer.from([0x93, ...Buffer.from("NUMPY"), 1, 0, padded.length & 0xff, padded.length >> 8]);
  writeFileSync(path, Buffer.concat([preamble, Buffer.from(padded), bytesOf(data)]));
}

/**
 * Writes shards `a`, `b`, ... with so many rows each and returns the pattern that finds them. Over all shards, record `n` has
 * `x`, float32 [3]: n, n + 0.25, n + 0.5; `y`, int64: -n; `ok`, bool: true, except for the `broken` ones, whose byte 2 is no bool.
 */
export function writeShards(folder: string, counts: readonly number[], ...broken: readonly number[]): string {
  mkdirSync(folder, { recursive: true });
  const isBroken = new Set(broken);
  let first = 0;
  for (const [shard, count] of counts.entries()) {
    const stem = join(folder, String.fromCharCode("a".charCodeAt(0) + shard));
    const numbers = Array.from({ length: count }, (_, row) => first + row);
    writeNpy(`${stem}.x.npy`, "<f4", [count, 3], Float32Array.from(numbers.flatMap((n) => [n, n + 0.25, n + 0.5])));
    writeNpy(
      `${stem}.y.npy`,
      "<i8",
      [count],
      BigInt64Array.from(numbers, (n) => BigInt(-n)),
    );
    writeNpy(
      `${stem}.ok.npy`,
      "|b1",
      [count],
      Uint8Array.from(numbers, (n) => (isBroken.has(n) ? 2 : 1)),
    );
    first += count;
  }
  return join(folder, "*.npy");
}

function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
