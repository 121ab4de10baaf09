// TFRecord files of tf.train.Example in this module's memory: verifies both checksums of each record and decodes messages of the
// common form into columns. It stops at the first record that is anything else, whatever the reason, and leaves it to the caller:
// src/readers/example-columns.ts says what the common form is, and holds the same rules. AssemblyScript: compiled by the build.
//
// The caller lays out the memory: the bytes of the file, the slots, their names, the columns, and three numbers for each record.

import { prepare as prepareChecksum, update } from "./checksum";

/** Length and checksum before a message, and the checksum behind it. */
const LENGTH_BYTES: usize = 8;
const HEADER_BYTES: usize = 12;
const CHECKSUM_BYTES: usize = 4;
const MASK_DELTA: u32 = 0xa282ead8;
/** Tags: field number times 8 plus wire type 2. */
const FIELD_1: u32 = 0x0a;
const FIELD_2: u32 = 0x12;
const BYTES_LIST: u32 = 0x0a;
const FLOAT_LIST: u32 = 0x12;
const INT64_LIST: u32 = 0x1a;
/** No length, and no position. */
const NONE: u32 = 0xffffffff;

/** A slot: what may stand under a name. Ten 32-bit numbers, in the order of src/kernels/tfrecord.ts. */
@unmanaged
class Slot {
  name: usize;
  nameBytes: u32;
  role: u32;
  /** The lists that can hold it: 1 bytes, 2 floats, 4 whole numbers. */
  lists: u32;
  count: u32;
  byteLength: u32;
  /** Of the first row; of notes, what they must be. */
  data: usize;
  dataBytes: u32;
  element: u32;
  /** The record that had it last. */
  record: u32;
}
const COLUMN: u32 = 0;
const NOTES: u32 = 1;
const KEY: u32 = 2;
const SKIP: u32 = 3;

/** Elements that hold whole numbers. */
const INT64: u32 = 1;
const INT32: u32 = 2;
const UINT32: u32 = 3;
const INT16: u32 = 4;
const UINT16: u32 = 5;
const INT8: u32 = 6;
const UINT8: u32 = 7;
const BOOL: u32 = 8;

let slots: usize = 0;
let slotCount: u32 = 0;
let columnCount: u32 = 0;
let takesNoNotes: bool = false;
let records: usize = 0;
/** Counts records, over all calls: a slot that has it was in this record. */
let stamp: u32 = 0;
/** Where the key of the last message lies. */
let keyStart: u32 = 0;
let keyEnd: u32 = 0;

/** Gives the first byte that this module does not use. */
export function heapBase(): usize {
  return __heap_base;
}

/** Fills the tables; called once by the host. */
export function prepare(): void {
  prepareChecksum();
}

/** Says what the messages hold: slots, how many of them, how many columns, whether a message may be without notes. */
export function layOut(slotsAt: usize, count: u32, columns: u32, withoutNotes: bool, recordsAt: usize): void {
  slots = slotsAt;
  slotCount = count;
  columnCount = columns;
  takesNoNotes = withoutNotes;
  records = recordsAt;
}

/**
 * Decodes the records that lie whole in `[start, end)` into the rows from 0 on, at most `most`, none longer than `longest`. Gives how
 * many; for each there are three numbers at `records`: where it ends, where its key begins (0: it has none) and ends.
 */
export function decode(start: usize, end: usize, most: u32, longest: u32): u32 {
  let position = start;
  let knownLength: u64 = 0;
  let knownChecksum: u32 = 0;
  let isKnown = false;
  for (let row: u32 = 0; row < most; row++) {
    if (end - position < HEADER_BYTES) return row;
    const length = load<u64>(position);
    if (!isKnown || length != knownLength) {
      knownLength = length;
      knownChecksum = masked(position, position + LENGTH_BYTES);
      isKnown = true;
    }
    if (load<u32>(position, 8) != knownChecksum || length > (longest as u64)) return row;
    const message = position + HEADER_BYTES;
    if (length + CHECKSUM_BYTES > ((end - message) as u64)) return row;
    const messageEnd = message + (length as usize);
    if (load<u32>(messageEnd) != masked(message, messageEnd)) return row;
    if (!decodeMessage(message, messageEnd, row)) return row;
    position = messageEnd + CHECKSUM_BYTES;
    const at = records + 12 * row;
    store<u32>(at, position as u32);
    store<u32>(at, keyStart, 4);
    store<u32>(at, keyEnd, 8);
  }
  return most;
}

function masked(start: usize, end: usize): u32 {
  return rotr<u32>(~update(0xffffffff, start, end), 15) + MASK_DELTA;
}

/** An Example: one Features, whose entries are each a name and a Feature. */
function decodeMessage(start: usize, end: usize, row: u32): bool {
  if (load<u8>(start) != FIELD_1) return false;
  const length = readLength(start + 1);
  let position = start + 1 + lengthBytes(length);
  if (length == NONE || position + length != end) return false;
  stamp++;
  keyStart = 0;
  keyEnd = 0;
  let columns: u32 = 0;
  let hasNotes = false;
  let expected = slots;
  while (position < end) {
    if (load<u8>(position) != FIELD_1) return false;
    const entryLength = readLength(position + 1);
    const nameTag = position + 1 + lengthBytes(entryLength);
    const entryEnd = nameTag + entryLength;
    if (entryLength == NONE || entryEnd > end || load<u8>(nameTag) != FIELD_1) return false;
    const nameLength = readLength(nameTag + 1);
    const name = nameTag + 1 + lengthBytes(nameLength);
    const valueTag = name + nameLength;
    if (nameLength == NONE || valueTag >= entryEnd || load<u8>(valueTag) != FIELD_2) return false;
    const valueLength = readLength(valueTag + 1);
    const value = valueTag + 1 + lengthBytes(valueLength);
    if (valueLength == NONE || value + valueLength != entryEnd) return false;
    const at = find(expected, name, nameLength);
    if (at == 0) return false;
    const slot = changetype<Slot>(at);
    if (slot.record == stamp) return false;
    slot.record = stamp;
    expected = at + offsetof<Slot>();
    if (slot.role == COLUMN) columns++;
    else if (slot.role == NOTES) hasNotes = true;
    if (slot.role != SKIP && !decodeValue(slot, value, entryEnd, row)) return false;
    position = entryEnd;
  }
  return columns == columnCount && (hasNotes || takesNoNotes);
}

/** Finds the slot of a name, the expected one first; 0 where there is none. */
function find(expected: usize, name: usize, length: u32): usize {
  const last = slots + slotCount * offsetof<Slot>();
  if (expected < last && isNamed(changetype<Slot>(expected), name, length)) return expected;
  for (let at = slots; at < last; at += offsetof<Slot>()) {
    if (isNamed(changetype<Slot>(at), name, length)) return at;
  }
  return 0;
}

// @ts-expect-error AssemblyScript decorator
@inline
function isNamed(slot: Slot, name: usize, length: u32): bool {
  return slot.nameBytes == length && equal(slot.name, name, length);
}

function equal(a: usize, b: usize, length: u32): bool {
  for (let i: u32 = 0; i < length; i++) if (load<u8>(a + i) != load<u8>(b + i)) return false;
  return true;
}

/** One Feature: one list of one packed run, or one value of bytes. */
function decodeValue(slot: Slot, start: usize, end: usize, row: u32): bool {
  const kind = load<u8>(start) as u32;
  const listLength = readLength(start + 1);
  const list = start + 1 + lengthBytes(listLength);
  if (listLength == NONE || list + listLength != end || load<u8>(list) != FIELD_1) return false;
  const runLength = readLength(list + 1);
  const run = list + 1 + lengthBytes(runLength);
  if (runLength == NONE || run + runLength != end) return false;
  if (kind == INT64_LIST) return (slot.lists & 4) != 0 && decodeWholes(slot, run, end, row);
  if (kind == FLOAT_LIST || (kind == BYTES_LIST && slot.role == COLUMN)) {
    if ((slot.lists & (kind == FLOAT_LIST ? 2 : 1)) == 0 || runLength != slot.byteLength) return false;
    copy(slot.data + row * slot.byteLength, run, runLength);
    return true;
  }
  if (kind != BYTES_LIST) return false;
  if (slot.role == NOTES) return runLength == slot.dataBytes && equal(slot.data, run, runLength);
  keyStart = run as u32;
  keyEnd = end as u32;
  return slot.role == KEY;
}

/** Copies bytes, and up to 15 more: they fall on the next row, which is written later, or on what the caller leaves free. */
// @ts-expect-error AssemblyScript decorator
@inline
function copy(target: usize, source: usize, length: u32): void {
  if (length > 1024) {
    memory.copy(target, source, length);
    return;
  }
  for (let i: u32 = 0; i < length; i += 16) v128.store(target + i, v128.load(source + i));
}

function decodeWholes(slot: Slot, start: usize, end: usize, row: u32): bool {
  const count = slot.count;
  const element = slot.element;
  const width = slot.byteLength / (count == 0 ? 1 : count);
  let target = slot.data + row * slot.byteLength;
  let position = start;
  for (let i: u32 = 0; i < count; i++, target += width) {
    if (position >= end) return false;
    let value = load<u8>(position++) as u64;
    if (value >= 0x80) {
      value &= 0x7f;
      for (let shift: u64 = 7; ; shift += 7) {
        if (position >= end || shift > 63) return false;
        const byte = load<u8>(position++) as u64;
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
          if (shift == 63 && byte > 1) return false;
          break;
        }
      }
    }
    if (element == INT64) store<u64>(target, value);
    else if (!storeNarrow(element, target, value as i64)) return false;
  }
  return position == end;
}

/** Stores a number that has to fit into less than 64 bits; says whether it does. */
function storeNarrow(element: u32, target: usize, value: i64): bool {
  if (element == INT32 || element == UINT32) {
    store<u32>(target, value as u32);
    return element == INT32 ? value == (value as i32 as i64) : value == (value as u32 as i64);
  }
  if (element == INT16 || element == UINT16) {
    store<u16>(target, value as u16);
    return element == INT16 ? value == (value as i16 as i64) : value == (value as u16 as i64);
  }
  store<u8>(target, value as u8);
  if (element == INT8) return value == (value as i8 as i64);
  if (element == UINT8) return value == (value as u8 as i64);
  return element == BOOL && value >= 0 && value <= 1;
}

/** Reads a length of at most four bytes, none of them more than it needs; NONE for any other. */
// @ts-expect-error AssemblyScript decorator
@inline
function readLength(position: usize): u32 {
  const first = load<u8>(position) as u32;
  return first < 0x80 ? first : readLongLength(position, first);
}

function readLongLength(position: usize, first: u32): u32 {
  const second = load<u8>(position, 1) as u32;
  if (second < 0x80) return second == 0 ? NONE : (first & 0x7f) | (second << 7);
  const third = load<u8>(position, 2) as u32;
  if (third < 0x80) return third == 0 ? NONE : (first & 0x7f) | ((second & 0x7f) << 7) | (third << 14);
  const fourth = load<u8>(position, 3) as u32;
  if (fourth >= 0x80 || fourth == 0) return NONE;
  return (first & 0x7f) | ((second & 0x7f) << 7) | ((third & 0x7f) << 14) | (fourth << 21);
}

/** How many bytes readLength has read. */
// @ts-expect-error AssemblyScript decorator
@inline
function lengthBytes(length: u32): u32 {
  if (length < 0x80) return 1;
  return length < 0x4000 ? 2 : length < 0x200000 ? 3 : 4;
}
