// Damages files, always in the same ways: what is drawn comes from the name of the file alone.

import { hostileFiles } from "./hostile.mjs";
import { BLOCK_BYTES, hasLongNames, interleaved, membersOf, repeated } from "./tar.mjs";

const LINE_FEED = 0x0a;
const LONGEST_SPLICE = 600; // bytes: more than a block of tar

/**
 * Makes every damaged form of a file: `{ kind, what, bytes, isVouched }`, and `twice` where the file holds all samples two times.
 * `isVouched` is false where another file as valid as this one could have these bytes, so that no reader can notice from them alone.
 * `roleOf(byte)` says which bytes those are.
 */
export function damagedForms({ name, format, bytes, roleOf }, count) {
  const random = drawing(name);
  const forms = [
    ...flips(bytes, count, random),
    ...cuts(bytes, Math.ceil(count / 2), random),
    ...splices(bytes, Math.ceil(count / 2), random),
    ...concatenations(bytes, format),
    ...(format === "webdataset" && !hasLongNames(bytes) ? keys(bytes) : []),
    ...hostileFiles(format, bytes),
  ];
  return forms.map((form) => ({ ...form, isVouched: isVouched(form, bytes, format, roleOf) }));
}

function flips(bytes, count, random) {
  return Array.from({ length: count }, () => {
    const bit = random(8 * bytes.length);
    const flipped = Buffer.from(bytes);
    flipped[bit >>> 3] ^= 1 << (bit & 7);
    return { kind: "bit flips", what: `bit ${bit & 7} of byte ${bit >>> 3} flipped`, bytes: flipped };
  });
}

function cuts(bytes, count, random) {
  return Array.from({ length: count }, () => {
    const end = 1 + random(bytes.length - 1);
    return { kind: "truncation", what: `cut at byte ${end} of ${bytes.length}`, bytes: bytes.subarray(0, end) };
  });
}

function splices(bytes, count, random) {
  const ways = [removed, doubled, zeroed, exchanged];
  return Array.from({ length: count }, (_, i) => {
    const length = 1 + random(Math.min(LONGEST_SPLICE, bytes.length >> 1));
    const start = random(bytes.length - length + 1);
    return { kind: "splices", ...ways[i % ways.length](bytes, start, length, random(bytes.length - length + 1)) };
  });
}

function removed(bytes, start, length) {
  const rest = Buffer.concat([bytes.subarray(0, start), bytes.subarray(start + length)]);
  return { what: `${length} bytes at ${start} taken out`, bytes: rest, region: [start, start + length] };
}

function doubled(bytes, start, length) {
  const end = start + length;
  const longer = Buffer.concat([bytes.subarray(0, end), bytes.subarray(start)]);
  return { what: `${length} bytes at ${start} written twice`, bytes: longer, region: [start, end] };
}

function zeroed(bytes, start, length) {
  return { what: `${length} bytes at ${start} set to zero`, bytes: Buffer.from(bytes).fill(0, start, start + length) };
}

function exchanged(bytes, start, length, from) {
  const other = Buffer.from(bytes);
  other.set(bytes.subarray(from, from + length), start);
  return { what: `${length} bytes at ${start} replaced by those at ${from}`, bytes: other };
}

function concatenations(bytes, format) {
  const kind = "concatenation";
  const half = bytes.subarray(0, (bytes.length >> 1) - 1); // of twelve records not six
  // Read from the front to the end. Of Parquet and NPZ the end says what is in them.
  const isChain = !["parquet", "npz"].includes(format);
  return [
    { kind, what: "the file twice, one after the other", bytes: Buffer.concat([bytes, bytes]), twice: isChain },
    { kind, what: "the file and its first half", bytes: Buffer.concat([bytes, half]) },
    { kind, what: "the first half and the file", bytes: Buffer.concat([half, bytes]) },
    { kind, what: "100 letters after the file", bytes: Buffer.concat([bytes, Buffer.alloc(100, "x")]) },
    { kind, what: "one byte after the file", bytes: Buffer.concat([bytes, Buffer.alloc(1, 1)]) },
    { kind, what: "100 letters before the file", bytes: Buffer.concat([Buffer.alloc(100, "x"), bytes]) },
  ];
}

function keys(bytes) {
  const kind = "keys";
  const members = membersOf(bytes);
  return [
    { kind, what: "the members of two samples interleaved", bytes: interleaved(members) },
    { kind, what: "the first sample once more at the end", bytes: repeated(members, "sample") },
    { kind, what: "one member of a sample twice", bytes: repeated(members, "member") },
    { kind, what: "a member of the first sample moved to the end", bytes: repeated(members, "moved") },
  ];
}

/**
 * Damage shows where it changes a byte that something vouches for, or the length; not where the file now is whole samples of before. In
 * JSON Lines and Parquet the length of what nothing vouches for is free.
 */
function isVouched({ kind, bytes, region }, intact, format, roleOf) {
  if (kind === "hostile sizes") return true;
  if (kind === "truncation" && format === "jsonl") return !isBetweenLines(intact, bytes.length);
  if (["truncation", "splices"].includes(kind) && isWholeRecords(format, bytes, intact)) return false;
  if (kind === "splices" && format === "jsonl") return false;
  const isFree = (byte) => roleOf(byte) === "unprotected";
  if (bytes.length !== intact.length) {
    if (!region || !["jsonl", "parquet"].includes(format)) return true;
    return !Array.from({ length: region[1] - region[0] }, (_, i) => region[0] + i).every(isFree);
  }
  const changed = Array.from(bytes.keys()).filter((byte) => bytes[byte] !== intact[byte]);
  return changed.length === 0 || !changed.every(isFree);
}

/** The last line need not end in a line feed, so a cut right before one is between two lines as well. */
function isBetweenLines(bytes, end) {
  return bytes[end - 1] === LINE_FEED || bytes[end] === LINE_FEED;
}

/** Says whether a file other than the intact one is records of that one, each as it was. */
function isWholeRecords(format, bytes, intact) {
  if (bytes.equals(intact) || !(format in recordsOf)) return false;
  const known = recordsOf[format](intact).map((record) => record.toString("latin1"));
  return recordsOf[format](bytes).every((record) => known.includes(record.toString("latin1")));
}

/** Takes a file apart into records; what is none is the last of them. */
const recordsOf = {
  tfrecord(bytes) {
    const records = [];
    for (let start = 0; start < bytes.length;) {
      const length = bytes.length - start < 16 ? Infinity : 16 + Number(bytes.readBigUInt64LE(start));
      records.push(bytes.subarray(start, start + length));
      start += length;
    }
    return records;
  },
  webdataset(bytes) {
    if (bytes.length % BLOCK_BYTES !== 0) return [bytes];
    const members = membersOf(bytes).map((member) => member.bytes);
    const rest = bytes.subarray(members.reduce((sum, member) => sum + member.length, 0));
    return rest.length >= 2 * BLOCK_BYTES && rest.every((byte) => byte === 0) ? members : [...members, rest];
  },
};

/** A generator of whole numbers below a bound (mulberry32), seeded by a name. */
function drawing(name) {
  let state = 2166136261;
  for (const character of name) state = Math.imul(state ^ character.charCodeAt(0), 16777619);
  return (bound) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * bound);
  };
}
