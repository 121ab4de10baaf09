// Messages of TensorBoard's event files (tensorflow/core/util/event.proto, tensorflow/core/framework/summary.proto) in TFRecord's frame
// (https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details).

import { checksumOf, maskChecksum } from "../../kernels/checksum.ts";

/** An event of an event file. */
export interface TensorBoardEvent {
  /** Seconds since 1970. */
  readonly wallTime: number;
  /** Not negative. */
  readonly step: number;
  /** Only in the first event of a file. */
  readonly fileVersion?: string;
  readonly scalars?: Readonly<Record<string, number>>;
}

/** Protobuf's tags: the field's number times 8 plus its wire type. */
const tags = {
  wallTime: 0x09, // 1, double
  step: 0x10, // 2, int64
  fileVersion: 0x1a, // 3, string
  summary: 0x2a, // 5, message
  value: 0x0a, // Summary.value: 1, message
  tag: 0x0a, // Summary.Value.tag: 1, string
  simpleValue: 0x15, // Summary.Value.simple_value: 2, float
} as const;

/** Encodes an event as one record of an event file. */
export function encodeEvent({ wallTime, step, fileVersion, scalars }: TensorBoardEvent): Uint8Array {
  const time = new Uint8Array(9);
  time[0] = tags.wallTime;
  new DataView(time.buffer).setFloat64(1, wallTime, true);
  const message = [...time, tags.step, ...varint(step)];
  if (fileVersion !== undefined) message.push(...delimited(tags.fileVersion, encode(fileVersion)));
  if (scalars) {
    const values = Object.entries(scalars).flatMap(([tag, value]) => delimited(tags.value, encodeValue(tag, value)));
    message.push(...delimited(tags.summary, values));
  }
  return frame(Uint8Array.from(message));
}

function encodeValue(tag: string, value: number): number[] {
  const simple = new Uint8Array(5);
  simple[0] = tags.simpleValue;
  new DataView(simple.buffer).setFloat32(1, value, true);
  return [...delimited(tags.tag, encode(tag)), ...simple];
}

function frame(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(message.length + 16);
  const view = new DataView(framed.buffer);
  view.setBigUint64(0, BigInt(message.length), true);
  view.setUint32(8, maskChecksum(checksumOf(framed.subarray(0, 8))), true);
  framed.set(message, 12);
  view.setUint32(12 + message.length, maskChecksum(checksumOf(message)), true);
  return framed;
}

function delimited(tag: number, bytes: ArrayLike<number> & Iterable<number>): number[] {
  return [tag, ...varint(bytes.length), ...bytes];
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80);
  bytes.push(left);
  return bytes;
}

function encode(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}
