// Pages of one column of a row group: levels as runs, values as they are, compressed, with a checksum.
// https://parquet.apache.org/docs/file-format/data-pages/

import { ByteWriter } from "hyparquet-writer/src/bytewriter.js";
import { snappyCompress } from "hyparquet-writer/src/snappy.js";
import { serializeTCompactProtocol } from "hyparquet-writer/src/thrift.js";
import { crc32 } from "node:zlib";

/** Numbers of the specification: a data page of version 1, and the encodings PLAIN and RLE. */
const DATA_PAGE = 0;
const PLAIN = 0;
const RLE = 3;

/** Bytes of the length before levels. */
const LENGTH_BYTES = 4;
/** Where snappy saves less than a tenth, as it does of pictures, inflating costs more than reading. */
const WORTHWHILE_RATIO = 0.9;

/** The compressions of what kdata writes. */
export type PageCodec = "SNAPPY" | "UNCOMPRESSED";

/** A page as it is stored. */
export interface EncodedPage {
  readonly header: Uint8Array;
  readonly body: Uint8Array;
  /** Of header and inflated body. */
  readonly inflatedBytes: number;
}

/** What a page holds: nulls and empty lists are entries too. */
export interface PageContent {
  readonly entries: number;
  /** Encoded levels; without lists there are no repetition levels. */
  readonly definition: Uint8Array;
  readonly repetition: Uint8Array | undefined;
  readonly values: Uint8Array;
}

/** Runs of equal levels, encoded as they come. */
export class LevelRuns {
  readonly #runs = new ByteWriter();
  #level = 0;
  #count = 0;

  /** Adds `count` times a level, which takes at most eight bits. */
  add(level: number, count: number): void {
    if (count === 0) return;
    if (level !== this.#level) this.#flush();
    this.#level = level;
    this.#count += count;
  }

  /** Gives the encoded runs and begins anew. */
  take(): Uint8Array {
    this.#flush();
    const bytes = this.#runs.getBytes().slice();
    this.#runs.index = 0;
    return bytes;
  }

  #flush(): void {
    if (this.#count > 0) {
      this.#runs.appendVarInt(this.#count * 2);
      this.#runs.appendUint8(this.#level);
    }
    this.#count = 0;
  }
}

/** Encodes a page. Without a codec, the one that pays; it is returned for the other pages of the column. */
export function encodePage(content: PageContent, codec: PageCodec | undefined): [page: EncodedPage, codec: PageCodec] {
  const plain = bodyOf(content);
  const compressed = codec === "UNCOMPRESSED" ? undefined : snappyCompress(plain);
  const isWorthwhile = compressed && compressed.length < plain.length * WORTHWHILE_RATIO;
  const chosen = codec ?? (isWorthwhile ? "SNAPPY" : "UNCOMPRESSED");
  const body = chosen === "SNAPPY" && compressed ? compressed : plain;
  const header = headerOf(content.entries, plain.length, body);
  return [{ header, body, inflatedBytes: header.length + plain.length }, chosen];
}

function bodyOf({ repetition, definition, values }: PageContent): Uint8Array {
  const levels = repetition ? [repetition, definition] : [definition];
  const length = levels.reduce((sum, part) => sum + LENGTH_BYTES + part.length, values.length);
  const body = new Uint8Array(length);
  const view = new DataView(body.buffer);
  let position = 0;
  for (const part of levels) {
    view.setUint32(position, part.length, true);
    body.set(part, position + LENGTH_BYTES);
    position += LENGTH_BYTES + part.length;
  }
  body.set(values, position);
  return body;
}

function headerOf(entries: number, inflatedLength: number, body: Uint8Array): Uint8Array {
  const header = new ByteWriter(64);
  serializeTCompactProtocol(header, {
    field_1: DATA_PAGE,
    field_2: inflatedLength,
    field_3: body.length,
    // As a signed number, which is what Thrift has.
    field_4: crc32(body) | 0,
    field_5: { field_1: entries, field_2: PLAIN, field_3: RLE, field_4: RLE },
  });
  return header.getBytes();
}
