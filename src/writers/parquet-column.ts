// One column of a Parquet file that is being written: what its values are, and the pages of the row group that is open.

import type { ColumnChunk, SchemaElement } from "hyparquet";

import { isBytesList, type Feature, type Sample } from "../core/sample.ts";
import { bytesOf, type DType, type Tensor } from "../core/tensor.ts";
import { jsonText, checkUnicode } from "../readers/text.ts";
import { encodePage, LevelRuns, type EncodedPage, type PageCodec } from "./parquet-page.ts";

/** A page is full with so many bytes: what readers skip and verify at once. The specification's advice is 8 KB, most write 1 MB. */
const PAGE_BYTES = 1 << 20;
const LENGTH_BYTES = 4;

/** How the values of a column are stored: the leaf of its schema, and whether each row has a list of them. */
export interface ColumnStorage {
  readonly leaf: Omit<SchemaElement, "name" | "repetition_type">;
  readonly isList: boolean;
}

const strings: ColumnStorage = {
  leaf: { type: "BYTE_ARRAY", converted_type: "UTF8", logical_type: { type: "STRING" } },
  isList: false,
};
const json: ColumnStorage = {
  leaf: { type: "BYTE_ARRAY", converted_type: "JSON", logical_type: { type: "JSON" } },
  isList: false,
};
const opaque: ColumnStorage = { leaf: { type: "BYTE_ARRAY" }, isList: false };
const opaqueLists: ColumnStorage = { leaf: { type: "BYTE_ARRAY" }, isList: true };

/** The leaves of numbers; bfloat16 has none and lies in whole numbers of its bits. */
const leaves: Readonly<Record<DType, ColumnStorage["leaf"]>> = {
  bool: { type: "BOOLEAN" },
  int8: { type: "INT32", converted_type: "INT_8" },
  uint8: { type: "INT32", converted_type: "UINT_8" },
  int16: { type: "INT32", converted_type: "INT_16" },
  uint16: { type: "INT32", converted_type: "UINT_16" },
  int32: { type: "INT32" },
  uint32: { type: "INT32", converted_type: "UINT_32" },
  int64: { type: "INT64" },
  uint64: { type: "INT64", converted_type: "UINT_64" },
  float16: { type: "FIXED_LEN_BYTE_ARRAY", type_length: 2, logical_type: { type: "FLOAT16" } },
  bfloat16: { type: "INT32", converted_type: "UINT_16" },
  float32: { type: "FLOAT" },
  float64: { type: "DOUBLE" },
};

/** Says how a feature is stored. 8-bit tensors of more than one axis are bytes: pictures, row-major. */
export function storageOf(feature: Feature): ColumnStorage {
  if (typeof feature === "string") return strings;
  if (feature instanceof Uint8Array) return opaque;
  if (isBytesList(feature)) return opaqueLists;
  if ("json" in feature) return json;
  const { dtype, shape } = feature;
  if (shape.length > 1 && (dtype === "uint8" || dtype === "int8")) return opaque;
  return { leaf: leaves[dtype], isList: shape.length > 0 };
}

/** A value ready to be added: the bytes of its elements, which may be views, and how many they are. */
export interface StoredValue {
  readonly parts: readonly Uint8Array[];
  readonly count: number;
}

/**
 * Encodes a feature for its column. `what` begins the message.
 *
 * @throws {KdataError} `shape` for half a surrogate pair, and for what JSON text cannot hold.
 */
export function storedValue(feature: Feature, what: string): StoredValue {
  if (typeof feature === "string") {
    checkUnicode(feature, what);
    return { parts: withLength(Buffer.from(feature)), count: 1 };
  }
  if (feature instanceof Uint8Array) return { parts: withLength(feature), count: 1 };
  if (isBytesList(feature)) return { parts: feature.flatMap(withLength), count: feature.length };
  if ("json" in feature) return { parts: withLength(Buffer.from(jsonText(feature.json, what))), count: 1 };
  if (storageOf(feature) === opaque) return { parts: withLength(bytesOf(feature.data)), count: 1 };
  return { parts: [elementBytes(feature)], count: feature.data.length };
}

/** The schema of a column: one node, or three for a list. */
export function schemaOf(name: string, { leaf, isList }: ColumnStorage): SchemaElement[] {
  if (!isList) return [{ ...leaf, name, repetition_type: "OPTIONAL" }];
  return [
    { name, repetition_type: "OPTIONAL", num_children: 1, converted_type: "LIST", logical_type: { type: "LIST" } },
    { name: "list", repetition_type: "REPEATED", num_children: 1 },
    { ...leaf, name: "element", repetition_type: "REQUIRED" },
  ];
}

/** The pages of a column in one row group. */
export class ColumnPages {
  readonly #storage: ColumnStorage;
  readonly #definition = new LevelRuns();
  readonly #repetition = new LevelRuns();
  #values = new Uint8Array(1 << 12);
  #used = 0;
  #entries = 0;
  #allEntries = 0;
  #codec: PageCodec | undefined;
  readonly #pages: EncodedPage[] = [];
  /** Rows added so far. */
  rows = 0;

  constructor(storage: ColumnStorage) {
    this.#storage = storage;
  }

  /** Adds rows without a value. */
  addNulls(count: number): void {
    this.#definition.add(0, count);
    this.#repetition.add(0, count);
    this.#entries += count;
    this.rows += count;
  }

  /** Adds a row. The bytes are copied. */
  add({ parts, count }: StoredValue): void {
    const { isList } = this.#storage;
    const entries = isList ? Math.max(1, count) : 1;
    if (isList) {
      this.#definition.add(count > 0 ? 2 : 1, entries);
      this.#repetition.add(0, 1);
      this.#repetition.add(1, entries - 1);
    } else {
      this.#definition.add(1, 1);
    }
    for (const part of parts) this.#append(part);
    this.#entries += entries;
    this.rows++;
    if (this.#used >= PAGE_BYTES) this.#seal();
  }

  /** Writes the pages by `append` and says what a footer must know of them. `offset` is where the first one goes. */
  finish(name: string, offset: number, append: (bytes: Uint8Array) => void): ColumnChunk {
    if (this.#entries > 0) this.#seal();
    let [stored, inflated] = [0, 0];
    for (const { header, body, inflatedBytes } of this.#pages) {
      append(header);
      append(body);
      stored += header.length + body.length;
      inflated += inflatedBytes;
    }
    const { leaf, isList } = this.#storage;
    return {
      file_offset: 0n,
      meta_data: {
        type: leaf.type ?? "BYTE_ARRAY",
        encodings: ["PLAIN", "RLE"],
        path_in_schema: isList ? [name, "list", "element"] : [name],
        codec: this.#codec ?? "UNCOMPRESSED",
        num_values: BigInt(this.#allEntries),
        total_uncompressed_size: BigInt(inflated),
        total_compressed_size: BigInt(stored),
        data_page_offset: BigInt(offset),
      },
    };
  }

  #append(bytes: Uint8Array): void {
    if (this.#used + bytes.length > this.#values.length) {
      const larger = new Uint8Array(Math.max(2 * this.#values.length, this.#used + bytes.length));
      larger.set(this.#values.subarray(0, this.#used));
      this.#values = larger;
    }
    this.#values.set(bytes, this.#used);
    this.#used += bytes.length;
  }

  #seal(): void {
    const values = this.#values.subarray(0, this.#used);
    const { leaf, isList } = this.#storage;
    const repetition = this.#repetition.take();
    const [page, codec] = encodePage(
      {
        entries: this.#entries,
        definition: this.#definition.take(),
        repetition: isList ? repetition : undefined,
        values: leaf.type === "BOOLEAN" ? packBits(values) : values,
      },
      this.#codec,
    );
    // All pages of a column are of the codec that pays for the first one.
    this.#codec = codec;
    this.#pages.push(page);
    this.#allEntries += this.#entries;
    this.#entries = 0;
    this.#used = 0;
  }
}

/** The shape of a sample as the value of a column of int64 lists. */
export function storedShape(shape: readonly number[]): StoredValue {
  return { parts: [bytesOf(BigInt64Array.from(shape, BigInt))], count: shape.length };
}

/** What columns of shapes are stored as. */
export const shapeStorage: ColumnStorage = { leaf: leaves.int64, isList: true };

/** The column of keys. */
export const keyStorage: ColumnStorage = strings;

/** Names a sample for messages. */
export function labelOf({ key }: Sample): string {
  return `Cannot write parquet: sample "${key}"`;
}

function withLength(bytes: Uint8Array): Uint8Array[] {
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setUint32(0, bytes.length, true);
  return [length, bytes];
}

/** The elements as Parquet has them: 8 and 16 bits as 32. */
function elementBytes({ dtype, data }: Tensor): Uint8Array {
  if (leaves[dtype].type !== "INT32" || data.BYTES_PER_ELEMENT === 4) return bytesOf(data);
  return bytesOf(Int32Array.from(data as Int16Array));
}

/** Booleans take a bit each, the lowest first. */
function packBits(flags: Uint8Array): Uint8Array {
  const packed = new Uint8Array(Math.ceil(flags.length / 8));
  for (let i = 0; i < flags.length; i++) {
    if (flags[i] !== 0) packed[i >>> 3] = (packed[i >>> 3] as number) | (1 << (i & 7));
  }
  return packed;
}
