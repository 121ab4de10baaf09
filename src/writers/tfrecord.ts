// TFRecord files of tf.train.Example messages: length, masked checksum of the length, message, masked checksum of the
// message. https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details

import { existsSync } from "node:fs";

import type { Sample } from "../core/sample.ts";
import { maskedCrc32c } from "../readers/crc32c.ts";
import { planExample, writeExample } from "../readers/example-encoder.ts";
import type { ShardWriter, WritableFormat, WrittenShard } from "./format.ts";
import { PartialFile } from "./output.ts";
import type { ByteSink } from "./sink.ts";

const LENGTH_BYTES = 8;
const CHECKSUM_BYTES = 4;
const HEAD_BYTES = LENGTH_BYTES + CHECKSUM_BYTES;
const FIRST_FRAME_BYTES = 1 << 16; // the frame's buffer grows to the largest record

/**
 * TFRecord, uncompressed. Every kind of feature can be written; what tf.train.Example has no field for is noted in
 * `__schema__`, and a key that is not the default one of the written shard in `__key__`. Equal samples give equal bytes.
 */
export const writableTfrecord: WritableFormat = {
  name: "tfrecord",
  extension: "tfrecord",
  paths: (stem) => [pathOf(stem)],
  existing: (stem) => [pathOf(stem)].filter((path) => existsSync(path)),
  stream: (sink) => new TfrecordWriter(sink),
  create: (stem) => new TfrecordWriter(new PartialFile(pathOf(stem))),
};

class TfrecordWriter implements ShardWriter {
  readonly #file: ByteSink;
  #frame = new Uint8Array(FIRST_FRAME_BYTES);
  #view = new DataView(this.#frame.buffer);
  #records = 0;

  constructor(file: ByteSink) {
    this.#file = file;
  }

  get bytes(): number {
    return this.#file.bytes;
  }

  get records(): number {
    return this.#records;
  }

  write(sample: Sample): void {
    // Keys are default or not by where the sample is going to be read from.
    const origin = { source: this.#file.path, record: this.#records };
    const plan = planExample({ key: sample.key, origin, features: sample.features });
    const length = plan.byteLength;
    this.#reserve(HEAD_BYTES + length + CHECKSUM_BYTES);
    this.#view.setBigUint64(0, BigInt(length), true);
    this.#view.setUint32(LENGTH_BYTES, maskedCrc32c(this.#view, 0, LENGTH_BYTES), true);
    const end = writeExample(plan, this.#frame, HEAD_BYTES);
    this.#view.setUint32(end, maskedCrc32c(this.#view, HEAD_BYTES, end), true);
    this.#file.append(this.#frame.subarray(0, end + CHECKSUM_BYTES));
    this.#records++;
  }

  finish(): WrittenShard {
    this.#file.commit();
    return { files: [{ path: this.#file.path, bytes: this.#file.bytes }], records: this.#records };
  }

  abort(): void {
    this.#file.abort();
  }

  #reserve(length: number): void {
    if (length <= this.#frame.length) return;
    this.#frame = new Uint8Array(Math.max(length, 2 * this.#frame.length));
    this.#view = new DataView(this.#frame.buffer);
  }
}

function pathOf(stem: string): string {
  return `${stem}.tfrecord`;
}
