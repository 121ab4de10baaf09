// The indexes of WebDataset archives that others read: the text that DALI's wds2idx writes for each archive
// (https://docs.nvidia.com/deeplearning/dali/user-guide/docs/operations/nvidia.dali.fn.readers.webdataset.html) and the JSON
// that webdataset's widsindex writes for all (https://github.com/webdataset/webdataset, wids).

import { createHash } from "node:crypto";
import { KdataError } from "../core/errors.ts";
import type { DatasetIndexForm, ReadOptions, ShardIndexForm } from "./format.ts";
import { framesOf, type FramedFormat } from "./framed.ts";
import type { SeekableSource } from "./source.ts";
import type { SampleFrame } from "./webdataset-framer.ts";

const DALI_VERSION = "v1.2";
/** Bytes of one read for the checksum of a whole file. */
const READ_BYTES = 1 << 20;

/**
 * Makes the form of DALI's wds2idx: a line with the version and the number of samples, then for each sample a line of
 * `<extension> <offset> <size> <name>` for each of its members. What webdataset passes over is left out, and so are hidden
 * files, which DALI passes over.
 */
export function daliForm(framed: FramedFormat<SampleFrame>): ShardIndexForm {
  return {
    name: "dali",
    per: "shard",
    extension: "idx",
    encode(source, options) {
      const lines: string[] = [];
      for (const { key, members, record } of framesOf(framed, source, options)) {
        if (key === "" || key.endsWith("/")) continue;
        const entries = members.map(({ path, start, end }) => {
          if (/\s/.test(path)) {
            throw new KdataError("unsupported", `Cannot make index: "${path}" has a space, which parts its fields`, {
              at: { source: source.name, record, byte: start },
            });
          }
          return `${path.slice(path.indexOf(".", path.lastIndexOf("/") + 1) + 1)} ${start} ${end - start} ${path}`;
        });
        lines.push(entries.join(" "));
      }
      if (lines.length === 0) {
        const reason = "Cannot make index: the archive has no samples, which DALI refuses";
        throw new KdataError("unsupported", reason, { at: { source: source.name } });
      }
      return { text: [`${DALI_VERSION} ${lines.length}`, ...lines, ""].join("\n"), samples: lines.length };
    },
  };
}

/** Makes the form of webdataset's widsindex: name, size, MD5 and number of samples of each archive. */
export function widsForm(framed: FramedFormat<SampleFrame>): DatasetIndexForm {
  return {
    name: "wids",
    per: "dataset",
    encode(shards, title, options) {
      const shardlist = shards.map(({ url, source }) => ({
        url,
        md5sum: md5Of(source),
        nsamples: countFrames(framed, source, options),
        filesize: source.size,
      }));
      const samples = shardlist.reduce((sum, { nsamples }) => sum + nsamples, 0);
      const document = { __kind__: "wids-shard-index-v1", wids_version: 1, shardlist, name: title };
      return { text: JSON.stringify(document, null, 2), samples };
    },
  };
}

function countFrames(
  framed: FramedFormat<SampleFrame>,
  source: SeekableSource,
  options: ReadOptions | undefined,
): number {
  let frames = 0;
  for (const frame of framesOf(framed, source, options)) frames = frame.record + 1;
  return frames;
}

function md5Of(source: SeekableSource): string {
  const hash = createHash("md5");
  const buffer = new Uint8Array(READ_BYTES);
  for (let position = 0; position < source.size;) {
    const length = source.read(buffer, position);
    if (length === 0) {
      const at = { source: source.name, byte: position };
      throw new KdataError("truncated", "Cannot read input: it became shorter while it was read", { at });
    }
    hash.update(buffer.subarray(0, length));
    position += length;
  }
  return hash.digest("hex");
}
