// TFRecord files of tf.train.Example and other messages: the length as a 64-bit little-endian number and its masked CRC-32C, the message
// and its masked CRC-32C. https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details

import { KdataError, type ErrorCode } from "../core/errors.ts";
import { defaultKey, emptyFeatures } from "../core/sample.ts";
import { maskedCrc32c } from "./crc32c.ts";
import { ExampleColumns } from "./example-columns.ts";
import { ExampleRun } from "./example-run.ts";
import { applySpecs } from "./example-spec.ts";
import { ExampleDecoder, type DecodedExample } from "./example.ts";
import { resolveFeatures, type WantedFeatures } from "./feature-spec.ts";
import type { Format, Limits, MessageKind, ShardIndexForm } from "./format.ts";
import { FramedColumns, type RowDecoder, type RunDecoder } from "./framed-columns.ts";
import {
  framesOf,
  openFramed,
  streamFramed,
  type Frame,
  type FramedOptions,
  type Framer,
  type Framing,
  type FramingStart,
} from "./framed.ts";
import type { Cursor } from "./protobuf.ts";
import { SequenceExampleDecoder } from "./sequence-example.ts";
import { isTolerated } from "./tolerance.ts";
import type { Window } from "./window.ts";

/** The length and its checksum. */
const LENGTH_BYTES = 8;
const CHECKSUM_BYTES = 4;
const HEADER_BYTES = LENGTH_BYTES + CHECKSUM_BYTES;

/** The feature of a record that is read as it is. */
const RAW_NAME = "record";

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
 * TFRecord files of tf.train.Example messages, of tf.train.SequenceExample messages, or of any bytes.
 *
 * Both checksums of a record are verified whenever it is read; counting and indexing verify the one of the length. Features
 * are as `ExampleDecoder` says; the key is the default one unless the record has a `__key__`. An empty file is a shard without
 * records, but it is not detected as TFRecord by its content.
 */
export const tfrecord: Format = {
  name: "tfrecord",
  title: "TFRecord (tf.train.Example)",
  extensions: ["tfrecord", "tfrecords"],
  decoding: ["features", "message", "badHeader"],
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

function framing(source: string, limits: Limits, options: FramedOptions): Framing<Frame> {
  const { features, message = "example" } = options;
  const wanted = features === undefined ? undefined : resolveFeatures(features);
  const keyStem = defaultKey({ source, record: 0 }).slice(0, -1);
  const framing: Framing<Frame> = {
    framer: (start) => framer(source, limits, start, options),
    ownChecksums: true,
    decode: decoder(source, keyStem, messageDecoder(message, wanted), wanted),
  };
  if (message !== "example") return framing;
  return {
    ...framing,
    columns(columns, seekable, index) {
      const messages = new ExampleColumns(columns, wanted);
      const runs = new ExampleRun(messages, seekable, keyStem, limits.recordBytes);
      return new FramedColumns(columns, seekable, framing, rowDecoder(source, keyStem, messages, runs), index);
    },
  };
}

function messageDecoder(message: MessageKind, wanted: WantedFeatures | undefined): (cursor: Cursor) => DecodedExample {
  switch (message) {
    case "example": {
      const examples = new ExampleDecoder(wanted);
      return (cursor) => examples.decode(cursor);
    }
    case "sequence-example": {
      const sequences = new SequenceExampleDecoder(wanted);
      return (cursor) => sequences.decode(cursor);
    }
    case "raw":
      return rawMessage;
    default: {
      const given: string = message;
      const reason = `there is no message '${given}', only example, sequence-example and raw`;
      throw new KdataError("usage", `Cannot read tfrecord: ${reason}`);
    }
  }
}

function rawMessage({ bytes, position, end }: Cursor): DecodedExample {
  const features = emptyFeatures();
  features[RAW_NAME] = bytes.subarray(position, end);
  return { key: undefined, features };
}

function framer(source: string, limits: Limits, start: FramingStart, options: FramedOptions): Framer<Frame> {
  let { record, position } = start;
  const resyncs = start.end === undefined && isTolerated("badHeader", options);
  let lostFrom: number | undefined; // a bad header; the next good one is looked for
  function tellLost(end: number): void {
    if (lostFrom === undefined) return;
    const reason = "a length checksum does not match";
    const place = { source, record, byte: lostFrom };
    options.onTolerated?.({ policy: "badHeader", ...place, bytes: end - lostFrom, reason });
    lostFrom = undefined;
  }
  // Records of one length mostly follow one another: then the checksum of the length is known.
  let [knownLow, knownHigh, knownChecksum] = [-1, -1, -1];
  function fail(code: ErrorCode, reason: string, byte: number): KdataError {
    return new KdataError(code, `Cannot read tfrecord: ${reason}`, { at: { source, record, byte } });
  }
  return {
    next(window) {
      if (lostFrom !== undefined) {
        position = findHeader(window, position, limits.recordBytes);
        const isFound = window.end - position >= HEADER_BYTES;
        if (isFound && window.locate(position, HEADER_BYTES) < 0) return "more";
        if (!isFound) position = window.end;
        tellLost(position);
      }
      if (position === window.end) return "end";
      window.release(position);
      if (position + HEADER_BYTES > window.end) {
        throw fail("truncated", "the file ends inside the header of a record", window.end);
      }
      const index = window.locate(position, HEADER_BYTES);
      if (index < 0) return "more";
      const { view } = window;
      const low = view.getUint32(index, true);
      const high = view.getUint32(index + 4, true);
      if (low !== knownLow || high !== knownHigh) {
        [knownLow, knownHigh] = [low, high];
        knownChecksum = maskedCrc32c(view, index, index + LENGTH_BYTES);
      }
      if (view.getUint32(index + LENGTH_BYTES, true) !== knownChecksum) {
        if (resyncs) {
          lostFrom = position++;
          return this.next(window);
        }
        throw fail("checksum", "the length checksum does not match", position);
      }
      const length = low + high * 2 ** 32;
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

/**
 * Finds the first header from `position` on whose checksum matches and whose record may be there; in a stream, as far as it has arrived.
 * Fewer bytes than those of a header are left where there is none.
 */
function findHeader(window: Window, position: number, recordBytes: number): number {
  for (let at = position; ; at++) {
    window.release(at);
    if (at + HEADER_BYTES > window.end) return at;
    const index = window.locate(at, HEADER_BYTES);
    if (index < 0) return at;
    const { view } = window;
    if (view.getUint32(index + LENGTH_BYTES, true) !== maskedCrc32c(view, index, index + LENGTH_BYTES)) continue;
    const length = view.getUint32(index, true) + view.getUint32(index + 4, true) * 2 ** 32;
    if (length <= recordBytes && at + HEADER_BYTES + length + CHECKSUM_BYTES <= window.end) return at;
  }
}

function decoder(
  source: string,
  keyStem: string,
  decodeMessage: (cursor: Cursor) => DecodedExample,
  wanted: WantedFeatures | undefined,
): Framing<Frame>["decode"] {
  return ({ record, start, end }, { bytes, view }, index) => {
    const position = index + HEADER_BYTES;
    const messageEnd = index + end - start - CHECKSUM_BYTES;
    verifyData(view, position, messageEnd, source, record, start);
    const origin = start - index;
    const { key, features } = decodeMessage({ bytes, view, position, end: messageEnd, source, record, origin });
    return {
      key: key ?? `${keyStem}${record}`,
      origin: { source, record },
      features: wanted ? applySpecs(features, wanted, { source, record, byte: start + HEADER_BYTES }) : features,
    };
  };
}

function rowDecoder(source: string, keyStem: string, messages: ExampleColumns, runs: RunDecoder): RowDecoder<Frame> {
  return {
    runs,
    into(rows) {
      messages.into(rows);
    },
    decode({ record, start, end }, { bytes, view }, index, row, wantsKey) {
      const messageAt = index + HEADER_BYTES;
      const messageEnd = index + end - start - CHECKSUM_BYTES;
      verifyData(view, messageAt, messageEnd, source, record, start);
      if (!messages.decode(bytes, view, messageAt, messageEnd, row)) return undefined;
      if (!messages.hasKey) return wantsKey ? `${keyStem}${record}` : "";
      return messages.key(bytes, { source, record, byte: start + HEADER_BYTES });
    },
  };
}

/** `start` is where the record starts in the source, for messages. */
function verifyData(view: DataView, at: number, end: number, source: string, record: number, start: number): void {
  if (view.getUint32(end, true) === maskedCrc32c(view, at, end)) return;
  const position = { source, record, byte: start + HEADER_BYTES };
  throw new KdataError("checksum", "Cannot read tfrecord: the data checksum does not match", { at: position });
}
