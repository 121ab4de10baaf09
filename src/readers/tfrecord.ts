// TFRecord files of tf.train.Example messages: the length as a 64-bit little-endian number and its masked CRC-32C, the message
// and its masked CRC-32C. https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details

import { KdataError, type ErrorCode } from "../core/errors.ts";
import { defaultKey } from "../core/sample.ts";
import { maskedCrc32c } from "./crc32c.ts";
import { ExampleDecoder } from "./example.ts";
import type { Format, Limits, ShardIndexForm } from "./format.ts";
import {
  framesOf,
  openFramed,
  streamFramed,
  type Frame,
  type Framer,
  type Framing,
  type FramingStart,
} from "./framed.ts";

/** The length and its checksum. */
const LENGTH_BYTES = 8;
const CHECKSUM_BYTES = 4;
const HEADER_BYTES = LENGTH_BYTES + CHECKSUM_BYTES;

/** The form of tfrecord2idx (https://github.com/vahidk/tfrecord), which DALI reads too: a line of `<offset> <length>` for each record. */
const tfindex: ShardIndexForm = {
  name: "tfindex",
  per: "shard",
  extension: "tfindex",
  encode(source, options) {
    const lines: string[] = [];
    for (const { start, end } of framesOf(framing, source, options)) lines.push(`${start} ${end - start}\n`);
    return { text: lines.join(""), samples: lines.length };
  },
};

/**
 * TFRecord files of tf.train.Example messages, not compressed.
 *
 * Both checksums of a record are verified whenever it is read; counting and indexing verify the one of the length. Features
 * are as `ExampleDecoder` says; the key is the default one unless the record has a `__key__`. An empty file is a shard without
 * records, but it is not detected as TFRecord by its content.
 */
export const tfrecord: Format = {
  name: "tfrecord",
  title: "TFRecord (tf.train.Example)",
  extensions: ["tfrecord", "tfrecords"],
  detect(head) {
    if (head.length < HEADER_BYTES) return false;
    const view = new DataView(head.buffer, head.byteOffset, HEADER_BYTES);
    return view.getUint32(LENGTH_BYTES, true) === maskedCrc32c(view, 0, LENGTH_BYTES);
  },
  open([source, ...rest], options) {
    if (source === undefined || rest.length > 0) throw new TypeError("Cannot open tfrecord: a shard is one file");
    return openFramed(framing, source, options);
  },
  stream: (source, options) => streamFramed(framing, source, options),
  indexForms: [tfindex],
};

function framing(source: string, limits: Limits): Framing<Frame> {
  return { framer: (start) => framer(source, limits, start), ownChecksums: true, decode: decoder(source) };
}

function framer(source: string, limits: Limits, start: FramingStart): Framer<Frame> {
  let { record, position } = start;
  function fail(code: ErrorCode, reason: string, byte: number): KdataError {
    return new KdataError(code, `Cannot read tfrecord: ${reason}`, { at: { source, record, byte } });
  }
  return {
    next(window) {
      if (position === window.end) return "end";
      window.release(position);
      if (position + HEADER_BYTES > window.end) {
        throw fail("truncated", "the file ends inside the header of a record", window.end);
      }
      const index = window.locate(position, HEADER_BYTES);
      if (index < 0) return "more";
      const { view } = window;
      if (view.getUint32(index + LENGTH_BYTES, true) !== maskedCrc32c(view, index, index + LENGTH_BYTES)) {
        throw fail("checksum", "the length checksum does not match", position);
      }
      const length = view.getUint32(index, true) + view.getUint32(index + 4, true) * 2 ** 32;
      if (length > limits.recordBytes) {
        throw fail("limit", `a record of ${length} bytes exceeds the limit of ${limits.recordBytes}`, position);
      }
      const end = position + HEADER_BYTES + length + CHECKSUM_BYTES;
      if (end > window.end) {
        const left = Math.max(0, window.end - position - HEADER_BYTES);
        throw fail("truncated", `the length says ${length} bytes, ${left} are left`, window.end);
      }
      const frame = { record, start: position, end };
      position = end;
      record++;
      return frame;
    },
  };
}

function decoder(source: string): Framing<Frame>["decode"] {
  const messages = new ExampleDecoder();
  const keyStem = defaultKey({ source, record: 0 }).slice(0, -1);
  return ({ record, start, end }, { bytes, view }, index) => {
    const messageAt = index + HEADER_BYTES;
    const messageEnd = index + end - start - CHECKSUM_BYTES;
    if (view.getUint32(messageEnd, true) !== maskedCrc32c(view, messageAt, messageEnd)) {
      const at = { source, record, byte: start + HEADER_BYTES };
      throw new KdataError("checksum", "Cannot read tfrecord: the data checksum does not match", { at });
    }
    const origin = start - index;
    const { key, features } = messages.decode({
      bytes,
      view,
      position: messageAt,
      end: messageEnd,
      source,
      record,
      origin,
    });
    return { key: key ?? `${keyStem}${record}`, origin: { source, record }, features };
  };
}
