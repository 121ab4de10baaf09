// Files that say they hold far more than they do. Where a checksum covers what they say, it is right.

import { crc32c } from "../../dist/readers/crc32c.js";
import { firstFileHeader, withSize } from "./tar.mjs";

const GIB = 2n ** 30n;
const kind = "hostile sizes";

/** Makes the hostile forms of a file: `{ kind, what, bytes }`. */
export function hostileFiles(format, bytes) {
  return (makers[format]?.(bytes) ?? []).map((form) => ({ kind, ...form }));
}

const makers = { tfrecord, webdataset, npy, npz, parquet, jsonl };

function tfrecord(bytes) {
  const lengths = [2n * GIB, 2n ** 40n, 2n ** 62n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 64n - 16n, BigInt(bytes.length)];
  const claimed = lengths.map((length) => {
    const header = lengthHeader(length);
    return {
      what: `the first record says that it has ${length} bytes`,
      bytes: Buffer.concat([header, bytes.subarray(12)]),
    };
  });
  // An Example whose features say that they go on for 2 GiB, 2^56 bytes, and for ever.
  const messages = [
    [0x0a, 0xff, 0xff, 0xff, 0xff, 0x07],
    [0x0a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01],
    [0x0a, ...Array(40).fill(0xff)],
  ];
  const inside = messages.map((message, i) => ({
    what: `a message whose first field says that it has ${["2 GiB", "2^56 bytes", "a length without an end"][i]}`,
    bytes: Buffer.concat([record(Buffer.from(message)), bytes]),
  }));
  return [...claimed, ...inside];
}

function record(payload) {
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32LE(masked(payload));
  return Buffer.concat([lengthHeader(BigInt(payload.length)), payload, checksum]);
}

function lengthHeader(length) {
  const header = Buffer.alloc(12);
  header.writeBigUInt64LE(length);
  header.writeUInt32LE(masked(header.subarray(0, 8)), 8);
  return header;
}

/** The CRC-32C as TFRecord stores it. */
function masked(bytes) {
  const crc = crc32c(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0, bytes.length);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

function webdataset(bytes) {
  const at = firstFileHeader(bytes);
  const sizes = [
    ["8 GiB less one", Buffer.from("77777777777\0")],
    ["2^40 bytes", base256(2n ** 40n)],
    ["2^62 bytes", base256(2n ** 62n)],
    ["2^88 bytes", base256(2n ** 88n)],
    ["minus 512 bytes", Buffer.from([...Array(10).fill(0xff), 0xfe, 0x00])],
    ["letters for its size", Buffer.from("zzzzzzzzzzz\0")],
  ];
  return sizes.map(([what, size]) => ({
    what: `the first member says that it has ${what}`,
    bytes: withSize(bytes, at, size),
  }));
}

function base256(value) {
  const bytes = Buffer.alloc(12);
  for (let i = 11, rest = value; i > 0; i--, rest >>= 8n) bytes[i] = Number(rest & 255n);
  bytes[0] |= 0x80;
  return bytes;
}

function npy(bytes) {
  const data = bytes.subarray(10 + bytes.readUInt16LE(8));
  const shapes = [
    "(1099511627776,)",
    "(2147483648, 2147483648)",
    "(9223372036854775807,)",
    "(18446744073709551617,)",
    `(${"9".repeat(400)},)`,
    "(-1,)",
    "(4294967296, 4294967296, 4294967297)",
    `(${"1, ".repeat(2000)})`,
    `${"(".repeat(9000)}1${")".repeat(9000)}`,
  ];
  const shaped = shapes.map((shape) => ({
    what: `the shape is ${shape.length > 50 ? `${shape.slice(0, 20)}... of ${shape.length} characters` : shape}`,
    bytes: Buffer.concat([npyHeader(shape), data]),
  }));
  const long = Buffer.from("\x93NUMPY\x02\x00\xff\xff\xff\xff", "latin1");
  return [
    ...shaped,
    { what: "the header says that it has 4 GiB less one", bytes: Buffer.concat([long, bytes.subarray(10)]) },
  ];
}

function npyHeader(shape) {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': ${shape}, }`;
  const filled = `${text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11)}\n`;
  const header = Buffer.alloc(10);
  header.write("\x93NUMPY\x01\x00", "latin1");
  header.writeUInt16LE(filled.length, 8);
  return Buffer.concat([header, Buffer.from(filled)]);
}

/** Sizes in the first entry of the central directory, and in its local header. */
function npz(bytes) {
  const entry = bytes.indexOf("PK\x01\x02", 0, "latin1");
  const end = bytes.lastIndexOf("PK\x05\x06", undefined, "latin1");
  const fields = [
    ["the first member says that it has 4 GiB less two", entry + 24, 0xfffffffe],
    ["the first member says that it is stored in 4 GiB less two", entry + 20, 0xfffffffe],
    ["the first member says that it begins at 4 GiB less two", entry + 42, 0xfffffffe],
    ["the directory says that it begins at 4 GiB less two", end + 16, 0xfffffffe],
    ["the directory says that it has 4 GiB less two", end + 12, 0xfffffffe],
    ["the archive says that it has 65,534 members", end + 8, 0xfffefffe],
  ];
  return fields.map(([what, at, value]) => {
    const changed = Buffer.from(bytes);
    changed.writeUInt32LE(value, at);
    return { what, bytes: changed };
  });
}

/** The length of the footer, and varints of the footer that become as long as they can be. */
function parquet(bytes) {
  const lengthAt = bytes.length - 8;
  const lengths = [0xffffffff, 0x7fffffff, bytes.length, 0].map((length) => {
    const changed = Buffer.from(bytes);
    changed.writeUInt32LE(length, lengthAt);
    return { what: `the footer says that it has ${length} bytes`, bytes: changed };
  });
  const start = lengthAt - bytes.readUInt32LE(lengthAt);
  const varints = Array.from({ length: 24 }, (_, i) => {
    const at = start + Math.floor(((lengthAt - start - 10) * i) / 24);
    const changed = Buffer.from(bytes).fill(0xff, at, at + 4 + (i % 6));
    return { what: `${4 + (i % 6)} bytes of the footer, at ${at}, set to 255`, bytes: changed };
  });
  return [...lengths, ...varints];
}

function jsonl(bytes) {
  const deep = `{"x":${"[".repeat(200_000)}${"]".repeat(200_000)}}\n`;
  return [
    { what: "a line of 200,000 nested arrays", bytes: Buffer.concat([Buffer.from(deep), bytes]) },
    { what: "a number of 1,000,000 digits", bytes: Buffer.concat([Buffer.from(`{"x":${"9".repeat(1e6)}}\n`), bytes]) },
    { what: "an exponent of 400", bytes: Buffer.concat([Buffer.from(`{"x":1e400}\n`), bytes]) },
  ];
}
