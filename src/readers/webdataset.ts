// WebDataset archives: tar files whose members `<key>.<ext>` that follow each other with one key are one sample.
// https://github.com/webdataset/webdataset, https://docs.google.com/document/d/18OdLjruFNX74ILmgrdiCI9J1fQZuhzzRBCHV9URWto0

import type { Format, Limits } from "./format.ts";
import { openFramed, streamFramed, type FramedOptions, type Framing } from "./framed.ts";
import { hasTarHeaderSum, isZeroBlock, TAR_BLOCK_BYTES } from "./tar.ts";
import { decodeSample } from "./webdataset-decoder.ts";
import { daliForm, widsForm } from "./webdataset-indexes.ts";
import { indexedNotes, sampleFramer, type SampleFrame } from "./webdataset-framer.ts";

/**
 * WebDataset tar archives, not compressed: ustar, pax and GNU, with long names and large sizes.
 *
 * The key of a sample is its members' path up to the first dot after the last slash; its features are named by what follows,
 * in lower case, and decoded by the last part of it: `cls cls2 index inx id` to int64 scalars, `txt text
 * transcript` to strings, `json jsn` to JSON, `npy` to tensors, all else to bytes as they are (pickles too: they are never
 * unpickled). Features are views until the next call.
 *
 * As in webdataset, directories, `.name` and `__metadata__` at the top are passed over (`splitMemberPath` has the details).
 * Other than there, a file without a dot in its name is refused, and so are keys that come again after another one, an archive
 * without its end, anything behind it, and headers whose sum does not match, unless the caller tolerates one of these by its name
 * (`Tolerance`). Always refused are links, devices and sparse members, and extensions that come twice. Header sums are verified;
 * contents have no checksum in tar. Reading in order and indexing keep the keys of the shard in memory.
 */
export const webdataset: Format = {
  name: "webdataset",
  title: "WebDataset (tar)",
  extensions: ["tar"],
  decoding: ["strayMembers", "repeatedKeys", "missingEnd", "trailingBytes", "badHeader"],
  detect(head) {
    if (head.length < TAR_BLOCK_BYTES) return false;
    // An archive without members begins with its end: two blocks of zeros.
    if (isZeroBlock(head, 0)) return head.length >= 2 * TAR_BLOCK_BYTES && isZeroBlock(head, TAR_BLOCK_BYTES);
    return hasTarHeaderSum(head, 0);
  },
  open([source, ...rest], options) {
    if (source === undefined || rest.length > 0) throw new TypeError("Cannot open webdataset: a shard is one file");
    return openFramed(framed, source, options);
  },
  stream: (source, options) => streamFramed(framed, source, options),
  indexForms: [daliForm(framed), widsForm(framed)],
};

function framed(source: string, limits: Limits, options: FramedOptions): Framing<SampleFrame> {
  const notesAt = indexedNotes(source);
  return {
    framer: (start) => sampleFramer(source, { limits, options }, start, notesAt),
    ownChecksums: false,
    decode: (frame, window, index) => decodeSample(frame, window.bytes, index, source, limits),
  };
}
