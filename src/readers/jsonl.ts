// JSON Lines: one JSON object a line is one sample. https://jsonlines.org, https://www.rfc-editor.org/rfc/rfc8259

import { KdataError, type Position } from "../core/errors.ts";
import { defaultKey, emptyFeatures, type Sample } from "../core/sample.ts";
import type { Format, Limits } from "./format.ts";
import { openFramed, streamFramed, type Frame, type Framer, type Framing, type FramingStart } from "./framed.ts";
import { JsonScanner } from "./json-scanner.ts";
import { KEY_NAME, readFeature } from "./jsonl-features.ts";
import { decodeLine, LineSearch } from "./lines.ts";

const LINE_FEED = 0x0a;
const BYTE_ORDER_MARK = "\ufeff";

/**
 * JSON Lines, not compressed. Each line is an object; its members are the features.
 *
 * Strings are strings; whole numbers are int64, numbers with a fraction or an exponent float64, `true` and `false` bool; nested
 * arrays of these in a regular shape are tensors; everything else is JSON. `readFeature` knows the objects that stand for what
 * JSON has no value for. A member `__key__` holds the key. Lines end in LF or CR LF; the last one need not. Refused: empty lines, a
 * byte order mark, names that come twice, whole numbers that would lose digits. The memory of the features is their own.
 */
export const jsonl: Format = {
  name: "jsonl",
  title: "JSON Lines",
  extensions: ["jsonl", "ndjson"],
  detect: isJsonl,
  open([source, ...rest], options) {
    if (source === undefined || rest.length > 0) throw new TypeError("Cannot open jsonl: a shard is one file");
    return openFramed(framing, source, options);
  },
  stream: (source, options) => streamFramed(framing, source, options),
};

function framing(source: string, limits: Limits): Framing<LineFrame> {
  return { framer: (start) => framer(source, limits, start), ownChecksums: false, decode: decoder(source) };
}

/** One line. */
interface LineFrame extends Frame {
  /** Whether it ends in a line feed, as all lines but the last one must. */
  readonly isEnded: boolean;
}

function framer(source: string, limits: Limits, start: FramingStart): Framer<LineFrame> {
  let { record, position } = start;
  const search = new LineSearch();
  return {
    next(window) {
      if (position === window.end) return "end";
      window.release(position);
      const found = search.next(window, position, position, limits.recordBytes + 1);
      if (found === "more") return "more";
      if (found === "long") {
        const reason = `Cannot read jsonl: the line is longer than the limit of ${limits.recordBytes} bytes`;
        throw new KdataError("limit", reason, { at: { source, record, byte: position } });
      }
      const end = found === "none" ? window.end : found;
      if (position === end) return "end";
      const frame = { record, start: position, end, isEnded: found !== "none" };
      position = end;
      record++;
      return frame;
    },
  };
}

function decoder(source: string): Framing<LineFrame>["decode"] {
  const keyStem = defaultKey({ source, record: 0 }).slice(0, -1);
  let frame: LineFrame = { record: 0, start: 0, end: 0, isEnded: false };
  let text = "";
  const scanner = new JsonScanner((code, reason, index) => {
    const byte = frame.start + Buffer.byteLength(text.slice(0, index));
    const isCut = code === "format" && index >= text.length && !frame.isEnded;
    const shown = isCut ? "the file ends inside a line" : reason;
    return new KdataError(isCut ? "truncated" : code, `Cannot read jsonl: ${shown}`, { at: { ...atOf(frame), byte } });
  });
  function atOf({ record, start }: LineFrame): Position & { readonly byte: number } {
    return { source, record, byte: start };
  }
  return (next, { bytes }, index): Sample => {
    frame = next;
    const { record, start, end, isEnded } = next;
    const line = bytes.subarray(index, index + end - start - (isEnded ? 1 : 0));
    text = decodeLine(line, "Cannot read jsonl: the line", atOf(next));
    scanner.begin(text);
    checkStart(text, scanner);
    const features = emptyFeatures();
    let key: string | undefined;
    scanner.object((name) => {
      if (name in features || (name === KEY_NAME && key !== undefined)) {
        throw scanner.fail(`the name ${JSON.stringify(name)} comes twice`);
      }
      if (name === KEY_NAME) key = scanner.string();
      else features[name] = readFeature(scanner);
    });
    scanner.end();
    return { key: key ?? `${keyStem}${record}`, origin: { source, record }, features };
  };
}

/** Says of lines that are no object what they are. */
function checkStart(text: string, scanner: JsonScanner): void {
  switch (scanner.peek()) {
    case "{":
      return;
    case "":
      throw scanner.fail("the line is empty");
    case BYTE_ORDER_MARK:
      throw scanner.fail("a byte order mark stands before the text; take it off");
    default:
      throw scanner.fail(`the line is no object: it begins with ${JSON.stringify(text.slice(0, 8))}`);
  }
}

/** Says whether the first line is an object, or begins like one where it is longer than the head. */
function isJsonl(head: Uint8Array): boolean {
  const end = head.indexOf(LINE_FEED);
  const line = end < 0 ? head : head.subarray(0, end);
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(line).replace(/^\ufeff/, "");
  const scanner = new JsonScanner((code, reason, index) => {
    const isCut = end < 0 && index >= text.length;
    // A number that is not exact is JSON all the same.
    return new KdataError(isCut ? "truncated" : code, reason);
  });
  scanner.begin(text);
  try {
    if (scanner.peek() !== "{") return false;
    scanner.value();
    scanner.end();
    return true;
  } catch (error) {
    if (!(error instanceof KdataError)) throw error;
    return error.code === "truncated" || error.code === "unsupported";
  }
}
