// Structures in Thrift's compact protocol, as Parquet's footer and page headers are:
// https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md. A visitor takes the fields that it knows; the
// others are passed over, so that nothing is allocated for them.

import type { KdataError } from "../core/errors.ts";

/** The types of the compact protocol that Parquet uses. */
export const thriftTypes = {
  true: 1,
  false: 2,
  byte: 3,
  i16: 4,
  i32: 5,
  i64: 6,
  double: 7,
  binary: 8,
  list: 9,
  set: 10,
  map: 11,
  struct: 12,
} as const;

/** Structures in structures; Parquet has seven. */
const MAX_DEPTH = 24;
/** Bytes of a varint of 64 bits. */
const MAX_VARINT_BYTES = 10;

/** Makes the error for what is wrong at a byte, counted from the start of the cursor's bytes. */
export type ThriftFail = (reason: string, byte: number) => KdataError;

/** Takes a field, or returns `false` to have it passed over. */
export type ThriftVisitor = (id: number, type: number) => boolean;

/** Reads structures one after another out of bytes that are not believed. */
export class ThriftCursor {
  position = 0;
  readonly #bytes: Uint8Array;
  readonly #fail: ThriftFail;
  #depth = 0;

  constructor(bytes: Uint8Array, fail: ThriftFail) {
    this.#bytes = bytes;
    this.#fail = fail;
  }

  /**
   * Reads a structure.
   *
   * @throws {KdataError} what `fail` makes, when it ends early, nests too deep or has a type that is none.
   */
  struct(visit: ThriftVisitor): void {
    if (++this.#depth > MAX_DEPTH) throw this.fail("its structures nest too deep");
    let id = 0;
    for (;;) {
      const head = this.#byte();
      const type = head & 0x0f;
      if (type === 0) break;
      id = head >>> 4 === 0 ? this.integer() : id + (head >>> 4);
      if (!visit(id, type)) this.#skip(type);
    }
    this.#depth--;
  }

  /** Reads a list of structures, of which each takes at least one byte. */
  structs(type: number, read: (index: number) => void): void {
    this.list(type, thriftTypes.struct, read);
  }

  /** Reads a list whose elements have one type. */
  list(type: number, elementType: number, read: (index: number) => void): void {
    this.expect(type, thriftTypes.list);
    const [size, found] = this.#listHead();
    if (size > 0) this.expect(found, elementType);
    for (let index = 0; index < size; index++) read(index);
  }

  /** Reads a whole number of a field of this type. */
  count(type: number): number {
    if (type !== thriftTypes.i16 && type !== thriftTypes.i32 && type !== thriftTypes.i64) {
      throw this.fail(`a number has the type ${type}`);
    }
    return this.integer();
  }

  /** Reads a boolean field, whose value is its type. */
  flag(type: number): boolean {
    if (type !== thriftTypes.true && type !== thriftTypes.false) throw this.fail(`a boolean has the type ${type}`);
    return type === thriftTypes.true;
  }

  /** Reads one byte as a signed number. */
  int8(type: number): number {
    this.expect(type, thriftTypes.byte);
    return (this.#byte() << 24) >> 24;
  }

  /** Views the bytes of a binary field. */
  binary(type: number): Uint8Array {
    this.expect(type, thriftTypes.binary);
    return this.#binary();
  }

  /** Reads a zigzag number. */
  integer(): number {
    const value = this.#varint();
    const half = Math.floor(value / 2);
    const number = value % 2 === 0 ? half : -half - 1;
    if (!Number.isSafeInteger(value)) throw this.fail(`the number ${number} is too large`);
    return number;
  }

  expect(found: number, type: number): void {
    if (found !== type) throw this.fail(`a field has the type ${found}, not ${type}`);
  }

  fail(reason: string): KdataError {
    return this.#fail(reason, Math.min(this.position, this.#bytes.length));
  }

  #byte(): number {
    const byte = this.#bytes[this.position];
    if (byte === undefined) throw this.fail("it ends in the middle of a structure");
    this.position++;
    return byte;
  }

  #varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = this.#byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw this.fail("a number has more than 64 bits");
  }

  #binary(): Uint8Array {
    const length = this.#varint();
    if (length > this.#bytes.length - this.position)
      throw this.fail(`${length} bytes of a text are more than are left`);
    this.position += length;
    return this.#bytes.subarray(this.position - length, this.position);
  }

  #listHead(): readonly [size: number, type: number] {
    const head = this.#byte();
    const size = head >>> 4 === 15 ? this.#varint() : head >>> 4;
    if (size > this.#bytes.length - this.position) throw this.fail(`${size} elements are more than the bytes left`);
    return [size, head & 0x0f];
  }

  #skip(type: number): void {
    switch (type) {
      case thriftTypes.true:
      case thriftTypes.false:
        return;
      case thriftTypes.byte:
        this.#byte();
        return;
      case thriftTypes.i16:
      case thriftTypes.i32:
      case thriftTypes.i64:
        this.#varint();
        return;
      case thriftTypes.double:
        for (let i = 0; i < 8; i++) this.#byte();
        return;
      case thriftTypes.binary:
        this.#binary();
        return;
      case thriftTypes.list:
      case thriftTypes.set:
        this.#skipList();
        return;
      case thriftTypes.struct:
        this.struct(() => false);
        return;
      default:
        throw this.fail(`a field has the type ${type}, which is none`);
    }
  }

  #skipList(): void {
    if (++this.#depth > MAX_DEPTH) throw this.fail("its structures nest too deep");
    const [size, type] = this.#listHead();
    for (let i = 0; i < size; i++) {
      // In a list a boolean takes a byte.
      if (type === thriftTypes.true || type === thriftTypes.false) this.#byte();
      else this.#skip(type);
    }
    this.#depth--;
  }
}
