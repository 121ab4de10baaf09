// tf.train.Example messages as features (https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/feature.proto).
// Own decoder: this is the hot path of every TFRecord data set. What a protobuf parser must accept it accepts: fields in any
// order, repeated and merged messages, packed and unpacked numbers, unknown fields, map entries that come again.

import { KdataError, type Position } from "../core/errors.ts";
import { emptyFeatures, type Feature, type Features } from "../core/sample.ts";
import type { Tensor } from "../core/tensor.ts";
import { Arena } from "./arena.ts";
import { applyNote, KEY_NAME, parseNotes, SCHEMA_NAME, type FeatureNote } from "./feature-notes.ts";
import type { WantedFeatures } from "./feature-spec.ts";
import {
  readLength,
  readTag,
  skipBytes,
  skipField,
  skipVarint,
  wireError,
  wireTypes,
  type Cursor,
} from "./protobuf.ts";
import { Ranges } from "./ranges.ts";
import { decodeUtf8 } from "./text.ts";

/** Field 1 with a length: `Example.features`, `Features.feature`, the key of a map entry, `BytesList.value`, packed numbers. */
const FIELD_1 = (1 << 3) | wireTypes.length;
/** Field 2 with a length: the value of a map entry. */
const FIELD_2 = (2 << 3) | wireTypes.length;
/** The oneof of Feature: `bytes_list`, `float_list`, `int64_list`. */
const BYTES_LIST = (1 << 3) | wireTypes.length;
const FLOAT_LIST = (2 << 3) | wireTypes.length;
const INT64_LIST = (3 << 3) | wireTypes.length;
/** `value` of FloatList and Int64List, not packed. */
const UNPACKED_FLOAT = (1 << 3) | wireTypes.fixed32;
const UNPACKED_INT64 = (1 << 3) | wireTypes.varint;

/** Names that are kept to be recognised in the next record; more features than this are only slower. */
const MAX_KNOWN_NAMES = 1024;

/** What a message holds: the features, and the key where one was written. */
export interface DecodedExample {
  readonly key: string | undefined;
  readonly features: Features;
}

/**
 * Decodes messages one after another, with memory that it reuses.
 *
 * `bytes_list` becomes bytes (one value) or a list; `float_list` and `int64_list` become tensors of rank 1; a feature without
 * a list becomes an empty list; notes in `__schema__` are applied. Bytes are views of the message, tensors of the message or
 * of the decoder's memory: both are valid until the next call.
 */
export class ExampleDecoder {
  readonly #wanted: WantedFeatures | undefined;
  /** Where each feature has a spec, that says more than any note. */
  readonly #takesNotes: boolean;
  readonly #arena = new Arena();
  readonly #names: { readonly bytes: Uint8Array; readonly name: string }[] = [];
  #notesText = new Uint8Array(0);
  #notes: ReadonlyMap<string, FeatureNote> = new Map();
  /** Parts of the cursor's bytes: the values of one map entry, and the elements of its list. */
  readonly #values = new Ranges();
  readonly #runs = new Ranges();

  /** With `wanted` the other features are passed over without being decoded, and a spec stands for the notes of its feature. */
  constructor(wanted?: WantedFeatures) {
    this.#wanted = wanted;
    this.#takesNotes = wanted === undefined || [...wanted.values()].includes(undefined);
  }

  /**
   * Decodes the message from `cursor.position` to `cursor.end`.
   *
   * @throws {KdataError} `format` with the byte when it is not a tf.train.Example, a name is not UTF-8, or a note does not fit;
   *   `unsupported` when JSON holds a whole number that JavaScript cannot.
   */
  decode(cursor: Cursor): DecodedExample {
    const at = { source: cursor.source, record: cursor.record, byte: cursor.origin + cursor.position };
    const found: Found = { features: emptyFeatures(), entries: 0, key: undefined, notes: undefined };
    this.#arena.reset();
    const { end } = cursor;
    while (cursor.position < end) {
      const tag = readTag(cursor);
      if (tag !== FIELD_1) skipField(cursor, tag);
      else this.#decodeFeatures(cursor, found);
      cursor.end = end;
    }
    if (found.notes !== undefined && this.#takesNotes)
      this.#applyNotes(found.features, reservedBytes(SCHEMA_NAME, found.notes, at), at);
    const { features, key } = found;
    if (key === undefined) return { key, features };
    const text = reservedBytes(KEY_NAME, key, at);
    return { key: decodeUtf8(text, `Cannot read tfrecord: ${KEY_NAME}`, at), features };
  }

  /** Decodes one Feature, which lies somewhere in a message that was decoded last. The memory is that of its features. */
  decodeFeature(cursor: Cursor, start: number, end: number): Feature {
    this.#values.clear();
    this.#values.add(start, end);
    return this.#decodeFeature(cursor);
  }

  /** One `Features` message; a second one in the same Example adds to the first. */
  #decodeFeatures(cursor: Cursor, found: Found): void {
    const end = enter(cursor);
    while (cursor.position < end) {
      const tag = readTag(cursor);
      if (tag !== FIELD_1) skipField(cursor, tag);
      else this.#decodeEntry(cursor, found);
      cursor.end = end;
    }
  }

  /** One map entry: key and value in any order, either of them missing or repeated. */
  #decodeEntry(cursor: Cursor, found: Found): void {
    const end = enter(cursor);
    let nameStart = end;
    let nameEnd = end;
    const values = this.#values;
    values.clear();
    while (cursor.position < end) {
      const tag = readTag(cursor);
      if (tag !== FIELD_1 && tag !== FIELD_2) {
        skipField(cursor, tag);
        continue;
      }
      const length = readLength(cursor);
      const start = cursor.position;
      cursor.position += length;
      if (tag === FIELD_2) {
        values.add(start, cursor.position);
      } else {
        nameStart = start;
        nameEnd = cursor.position;
      }
    }
    const name = this.#nameAt(cursor, nameStart, nameEnd, found.entries++);
    if (name === KEY_NAME) found.key = this.#decodeFeature(cursor);
    else if (name === SCHEMA_NAME) found.notes = this.#decodeFeature(cursor);
    else if (this.#wanted === undefined || this.#wanted.has(name)) found.features[name] = this.#decodeFeature(cursor);
    cursor.position = end;
  }

  /** Records of a file mostly have the same names in the same order: then the string of the last record is used again. */
  #nameAt(cursor: Cursor, start: number, end: number, entry: number): string {
    const known = this.#names[entry];
    if (known !== undefined && equalBytes(known.bytes, cursor.bytes, start, end)) return known.name;
    const bytes = cursor.bytes.slice(start, end);
    const at = { source: cursor.source, record: cursor.record, byte: cursor.origin + start };
    const name = decodeUtf8(bytes, "Cannot read tf.Example: a feature name", at);
    if (entry <= this.#names.length && entry < MAX_KNOWN_NAMES) this.#names[entry] = { bytes, name };
    return name;
  }

  /** The values of an entry are parts of one Feature. Its list is the one of the last kind; parts of that kind add up. */
  #decodeFeature(cursor: Cursor): Feature {
    const values = this.#values;
    const runs = this.#runs;
    runs.clear();
    let kind = 0;
    for (let i = 0; i < values.count; i++) {
      cursor.position = values.start(i);
      const end = (cursor.end = values.end(i));
      while (cursor.position < end) {
        const tag = readTag(cursor);
        if (tag === BYTES_LIST || tag === FLOAT_LIST || tag === INT64_LIST) {
          if (tag !== kind) runs.clear();
          kind = tag;
          collectRuns(cursor, tag, runs);
        } else {
          skipField(cursor, tag);
        }
        cursor.end = end;
      }
    }
    if (kind === FLOAT_LIST) return this.#floats(cursor);
    if (kind === INT64_LIST) return this.#int64s(cursor);
    if (runs.count === 1) return cursor.bytes.subarray(runs.start(0), runs.end(0));
    return Array.from({ length: runs.count }, (_, i) => cursor.bytes.subarray(runs.start(i), runs.end(i)));
  }

  #floats(cursor: Cursor): Tensor {
    const runs = this.#runs;
    const { bytes } = cursor;
    let count = 0;
    for (let i = 0; i < runs.count; i++) count += (runs.end(i) - runs.start(i)) / 4;
    if (runs.count === 1 && (bytes.byteOffset + runs.start(0)) % 4 === 0) {
      const data = new Float32Array(bytes.buffer as ArrayBuffer, bytes.byteOffset + runs.start(0), count);
      return { dtype: "float32", shape: [count], data };
    }
    const start = this.#arena.take(4 * count);
    let word = start / 4;
    for (let i = 0; i < runs.count; i++) {
      word = copyWords(cursor.view, runs.start(i), runs.end(i), this.#arena.words, word);
    }
    return { dtype: "float32", shape: [count], data: new Float32Array(this.#arena.words.buffer, start, count) };
  }

  #int64s(cursor: Cursor): Tensor {
    const runs = this.#runs;
    let count = 0;
    for (let i = 0; i < runs.count; i++) count += countVarints(cursor, runs.start(i), runs.end(i));
    const start = this.#arena.take(8 * count);
    let word = start / 4;
    for (let i = 0; i < runs.count; i++) {
      word = decodeVarints(cursor.bytes, runs.start(i), runs.end(i), this.#arena.words, word);
    }
    return { dtype: "int64", shape: [count], data: new BigInt64Array(this.#arena.words.buffer, start, count) };
  }

  #applyNotes(features: Features, text: Uint8Array, at: Position): void {
    if (!equalBytes(this.#notesText, text, 0, text.length)) {
      this.#notes = parseNotes(text, at);
      this.#notesText = text.slice();
    }
    for (const [name, note] of this.#notes) {
      if (this.#wanted && (!this.#wanted.has(name) || this.#wanted.get(name))) continue;
      const stored = features[name];
      if (stored === undefined) {
        throw new KdataError("format", `Cannot read tfrecord: ${SCHEMA_NAME} names "${name}", which is not there`, {
          at,
        });
      }
      features[name] = applyNote(name, stored, note, at);
    }
  }
}

/** What was decoded of a message so far; the two reserved features apart. */
interface Found {
  readonly features: Features;
  /** Map entries so far. */
  entries: number;
  key: Feature | undefined;
  notes: Feature | undefined;
}

/** Reads the length of a submessage, makes its end the cursor's and returns it. */
export function enter(cursor: Cursor): number {
  const length = readLength(cursor);
  return (cursor.end = cursor.position + length);
}

function reservedBytes(name: string, feature: Feature, at: Position): Uint8Array {
  if (feature instanceof Uint8Array) return feature;
  throw new KdataError("format", `Cannot read tfrecord: ${name} must be one value of bytes`, { at });
}

/** Adds where the elements of one list message lie: each value of bytes, each packed or unpacked run of numbers. */
function collectRuns(cursor: Cursor, kind: number, runs: Ranges): void {
  const end = enter(cursor);
  while (cursor.position < end) {
    const tag = readTag(cursor);
    if (tag === FIELD_1) {
      const length = readLength(cursor);
      if (kind === FLOAT_LIST && length % 4 !== 0) {
        throw wireError(cursor, cursor.position, `${length} bytes of packed floats are no multiple of 4`);
      }
      runs.add(cursor.position, cursor.position + length);
      cursor.position += length;
    } else if (tag === UNPACKED_FLOAT && kind === FLOAT_LIST) {
      runs.add(cursor.position, cursor.position + 4);
      skipBytes(cursor, 4);
    } else if (tag === UNPACKED_INT64 && kind === INT64_LIST) {
      const start = cursor.position;
      skipVarint(cursor);
      runs.add(start, cursor.position);
    } else {
      skipField(cursor, tag);
    }
  }
}

/** Copies the bits of floats word by word: for the vectors of small records faster than the view that `set` would need. */
function copyWords(source: DataView, start: number, end: number, target: Int32Array, firstWord: number): number {
  let word = firstWord;
  for (let i = start; i < end; i += 4) target[word++] = source.getInt32(i, true);
  return word;
}

/** Counts varints, each of which must end inside and hold at most 64 bits. */
function countVarints(cursor: Cursor, start: number, end: number): number {
  const { bytes } = cursor;
  let count = 0;
  let first = start;
  for (let i = start; i < end; i++) {
    if ((bytes[i] as number) < 0x80) {
      count++;
      if (i - first >= 9 && (i - first > 9 || (bytes[i] as number) > 1)) {
        throw wireError(cursor, first, "a varint is longer than 64 bits");
      }
      first = i + 1;
    }
  }
  if (first !== end) throw wireError(cursor, first, "a varint is cut off");
  return count;
}

/** Decodes varints that `countVarints` has passed into pairs of words, low and high, and says where they end. */
function decodeVarints(bytes: Uint8Array, start: number, end: number, words: Int32Array, firstWord: number): number {
  let word = firstWord;
  for (let i = start; i < end; word += 2) {
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[i++] as number;
      const bits = byte & 0x7f;
      if (shift < 32) low |= bits << shift;
      // The fifth byte has four bits for the low word and three for the high one.
      if (shift === 28) high = bits >>> 4;
      else if (shift > 28) high |= bits << (shift - 32);
      if (byte < 0x80) break;
    }
    words[word] = low;
    words[word + 1] = high;
  }
  return word;
}

function equalBytes(known: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (known.length !== end - start) return false;
  for (let i = 0; i < known.length; i++) if (known[i] !== bytes[start + i]) return false;
  return true;
}
