// Finds the samples of a WebDataset archive by the headers of its members: which belong together, where they lie, and which
// notes hold for them.

import { KdataError, type ErrorCode, type Position } from "../core/errors.ts";
import type { Limits } from "./format.ts";
import type { Frame, FramedOptions, Framer, FramingStart } from "./framed.ts";
import {
  hasTarHeaderSum,
  isZeroBlock,
  parsePaxRecords,
  parseTarHeader,
  TAR_BLOCK_BYTES,
  tarPaddedSize,
  type TarHeader,
} from "./tar.ts";
import { decodeUtf8 } from "./text.ts";
import { isTolerated, type ToleranceName } from "./tolerance.ts";
import {
  NOTE_KEYWORD,
  isMetadataPath,
  parseMemberNotes,
  splitMemberPath,
  type MemberNotes,
} from "./webdataset-members.ts";
import type { Window } from "./window.ts";

/** One sample: its members lie between `start` and `end`, headers included. */
export interface SampleFrame extends Frame {
  readonly key: string;
  readonly members: readonly MemberExtent[];
  readonly notes: MemberNotes;
}

/** The content of one member: positions in the source. */
export interface MemberExtent {
  /** The name in the archive. */
  readonly path: string;
  readonly ext: string;
  readonly start: number;
  readonly end: number;
}

/** What an index keeps: from which sample on which note holds, as the `comment` in the archive says it. */
type NoteChanges = readonly (readonly [record: number, comment: string])[];

const NO_NOTES: MemberNotes = new Map();

/** A sample whose end is not known yet. */
interface OpenSample {
  readonly key: string;
  readonly start: number;
  end: number;
  readonly members: MemberExtent[];
  readonly notes: MemberNotes;
}

/** What headers before a member's own said about it, and where the first of them lies. */
interface Prelude {
  readonly start?: number;
  readonly path?: string;
  readonly size?: number;
}

const NO_PRELUDE: Prelude = {};

/** How samples are framed. */
export interface SampleFraming {
  readonly limits: Limits;
  /** What is passed over, and who is told of it. */
  readonly options: FramedOptions;
}

/** A stretch that is given up because of a bad header, from the sample before it to the end of the first one behind it. */
interface LostStretch {
  readonly start: number;
  /** The next good header is still looked for; `false`: the members of the first sample behind it are passed over. */
  isSearching: boolean;
  /** Blocks of zeros right before the place that is looked at. */
  zeroBlocks: number;
  /** The key of that first sample, as soon as it is known. */
  key: string | undefined;
}

/** Makes a framer; `notesAt` says which notes an index gives for a record. */
export function sampleFramer(
  source: string,
  options: SampleFraming,
  start: FramingStart,
  notesAt: (header: unknown, record: number) => MemberNotes,
): Framer<SampleFrame> {
  return new SampleFramer(source, options, start, notesAt(start.header, start.record));
}

/** Makes a function that finds the notes of a record in the header of an index. It parses each note once. */
export function indexedNotes(source: string): (header: unknown, record: number) => MemberNotes {
  const parsed = new Map<string, MemberNotes>();
  return (header, record) => {
    if (header === undefined) return NO_NOTES;
    if (!isNoteChanges(header)) {
      throw new KdataError("state", "Cannot read webdataset: the index has no valid header", { at: { source } });
    }
    const comment = header.findLast(([first]) => first <= record)?.[1];
    if (comment === undefined) return NO_NOTES;
    let notes = parsed.get(comment);
    if (notes === undefined) {
      notes = parseMemberNotes(comment, { source }) ?? NO_NOTES;
      parsed.set(comment, notes);
    }
    return notes;
  };
}

class SampleFramer implements Framer<SampleFrame> {
  readonly #source: string;
  readonly #limits: Limits;
  readonly #options: FramedOptions;
  /** Where an index says that the sample ends; `undefined` when the archive is read to its own end. */
  readonly #extentEnd: number | undefined;
  readonly #keys = new Set<string>();
  readonly #noteChanges: [number, string][] = [];
  #record: number;
  #notes: MemberNotes;
  /** The next header, or the next byte to look at behind the end of the archive. */
  #position: number;
  #isBehindEnd = false;
  #open: OpenSample | undefined;
  /** The header at `#position`, parsed already: it ended one sample and begins the next. */
  #waiting: TarHeader | undefined;
  #prelude = NO_PRELUDE;
  #lost: LostStretch | undefined;

  constructor(source: string, { limits, options }: SampleFraming, start: FramingStart, notes: MemberNotes) {
    this.#source = source;
    this.#limits = limits;
    this.#options = options;
    this.#extentEnd = start.end;
    this.#record = start.record;
    this.#notes = notes;
    this.#position = start.position;
  }

  header(): NoteChanges | undefined {
    return this.#noteChanges.length === 0 ? undefined : this.#noteChanges;
  }

  next(window: Window): SampleFrame | "more" | "end" {
    for (;;) {
      if (this.#position === this.#extentEnd) return this.#close() ?? "end";
      window.release(this.#open?.start ?? this.#prelude.start ?? this.#position);
      if (this.#isBehindEnd) return this.#checkTail(window);
      if (this.#lost?.isSearching === true) {
        if (!this.#resync(window, this.#lost)) return "more";
        continue;
      }
      if (this.#waiting !== undefined) {
        this.#takeFile(this.#waiting, window.end);
        continue;
      }
      if (this.#position + TAR_BLOCK_BYTES > window.end) {
        this.#acceptEnd(window);
        return this.#close() ?? "end";
      }
      const index = window.locate(this.#position, TAR_BLOCK_BYTES);
      if (index < 0) return "more";
      if (this.#isBadHeader(window.bytes, index)) {
        this.#giveUp();
        continue;
      }
      if (isZeroBlock(window.bytes, index)) {
        if (this.#open !== undefined) return this.#close() ?? "end";
        if (!this.#passEnd(window)) return "more";
        continue;
      }
      const header = parseTarHeader(window.bytes, index, this.#at(this.#position));
      if (header.type === "0" || header.type === "7") {
        const finished = this.#takeFile(header, window.end);
        if (finished !== undefined) return finished;
      } else if (!this.#takeOther(header, window)) {
        return "more";
      }
    }
  }

  /** Takes a file into the open sample, or gives the open sample back when the file begins another one and is yet to be taken. */
  #takeFile(header: TarHeader, end: number): SampleFrame | undefined {
    const { start = this.#position, path = header.path, size = header.size } = this.#prelude;
    const contentAt = this.#position + TAR_BLOCK_BYTES;
    const nextAt = contentAt + tarPaddedSize(size);
    if (nextAt > end) throw this.#fail("truncated", `"${path}" ends at byte ${nextAt}, the file before`, end);
    const name = splitMemberPath(path);
    if (name !== undefined && this.#isOfLostSample(name.key, start)) {
      // Its other members may lie where headers are lost.
    } else if (name !== undefined) {
      if (this.#open !== undefined && this.#open.key !== name.key) {
        this.#waiting = header;
        return this.#close();
      }
      const sample = (this.#open ??= this.#begin(name.key, start));
      if (sample.members.some(({ ext }) => ext === name.ext)) {
        throw this.#fail("format", `the sample "${name.key}" has two members ".${name.ext}"`, start);
      }
      sample.members.push({ path, ext: name.ext, start: contentAt, end: contentAt + size });
      sample.end = nextAt;
      const bytes = nextAt - sample.start;
      if (bytes > this.#limits.recordBytes) {
        const reason = `the sample "${name.key}" takes ${bytes} bytes, more than the limit of ${this.#limits.recordBytes}`;
        throw this.#fail("limit", reason, start);
      }
    } else if (!isMetadataPath(path)) {
      if (!isTolerated("strayMembers", this.#options)) throw this.#refuseStray(path, start);
      this.#tell("strayMembers", start, nextAt - start, `"${path}" has no extension, so it is of no sample`);
    }
    this.#position = nextAt;
    this.#prelude = NO_PRELUDE;
    this.#waiting = undefined;
    return undefined;
  }

  #refuseStray(path: string, start: number): KdataError {
    return new KdataError("format", `Cannot read webdataset: "${path}" has no extension, so it is of no sample`, {
      at: this.#at(start),
      hint: 'Name it <key>.<extension>, or leave it out; strayMembers: "skip" (--stray-members skip) passes over such files.',
    });
  }

  #begin(key: string, start: number): OpenSample {
    if (this.#keys.has(key)) {
      const reason = `the key "${key}" comes again after other samples`;
      if (!isTolerated("repeatedKeys", this.#options)) throw this.#fail("format", reason, start);
      this.#tell("repeatedKeys", start, 0, reason);
    }
    this.#keys.add(key);
    return { key, start, end: start, members: [], notes: this.#notes };
  }

  #close(): SampleFrame | undefined {
    const sample = this.#open;
    if (sample === undefined) return undefined;
    this.#open = undefined;
    return { record: this.#record++, ...sample };
  }

  /** Takes a header that is not a file's; `false` when its content has yet to arrive. */
  #takeOther(header: TarHeader, window: Window): boolean {
    const { type, size } = header;
    if (type === "5") {
      if (size > 0) throw this.#fail("format", `the directory "${header.path}" has a content`, this.#position);
      this.#position += TAR_BLOCK_BYTES;
      this.#prelude = NO_PRELUDE;
      return true;
    }
    const reason = refusals.get(type);
    if (reason !== undefined) throw this.#fail("unsupported", `"${header.path}" is ${reason}`, this.#position);
    if (type !== "x" && type !== "g" && type !== "L" && type !== "K") {
      throw this.#fail("unsupported", `the header type ${JSON.stringify(type)} is not known`, this.#position);
    }
    if (size > this.#limits.headerBytes) {
      const limit = this.#limits.headerBytes;
      throw this.#fail("limit", `a header of ${size} bytes exceeds the limit of ${limit}`, this.#position);
    }
    const contentAt = this.#position + TAR_BLOCK_BYTES;
    const nextAt = contentAt + tarPaddedSize(size);
    if (nextAt > window.end) throw this.#missingEnd(window.end);
    const index = window.locate(contentAt, size);
    if (index < 0) return false;
    this.#takePrelude(type, window.bytes.subarray(index, index + size));
    this.#position = nextAt;
    return true;
  }

  #takePrelude(type: "x" | "g" | "L" | "K", content: Uint8Array): void {
    const at = this.#at(this.#position);
    if (type === "g") {
      this.#takeGlobal(parsePaxRecords(content, at), at);
      return;
    }
    const { start = this.#position } = this.#prelude;
    this.#prelude = { ...this.#prelude, start };
    if (type === "L") {
      const nul = content.indexOf(0);
      const path = decodeUtf8(nul < 0 ? content : content.subarray(0, nul), "Cannot read tar: a long name", at);
      this.#prelude = { ...this.#prelude, path };
    }
    if (type !== "x") return;
    const records = parsePaxRecords(content, at);
    if ([...records.keys()].some((keyword) => keyword.startsWith("GNU.sparse."))) {
      throw this.#fail("unsupported", "a member is sparse", this.#position);
    }
    const path = records.get("path");
    if (path !== undefined) {
      this.#prelude = { ...this.#prelude, path: decodeUtf8(path, "Cannot read tar: the name of a member", at) };
    }
    const size = records.get("size");
    if (size !== undefined) this.#prelude = { ...this.#prelude, size: this.#parseSize(size) };
  }

  #takeGlobal(records: ReadonlyMap<string, Uint8Array>, at: Position): void {
    if (records.has("path") || records.has("size")) {
      throw this.#fail("unsupported", "a global header sets the path or size of every member", this.#position);
    }
    const comment = records.get(NOTE_KEYWORD);
    if (comment === undefined) return;
    const text = decodeUtf8(comment, "Cannot read tar: a comment", at);
    const notes = parseMemberNotes(text, at);
    if (notes === undefined) return;
    this.#notes = notes;
    this.#noteChanges.push([this.#open === undefined ? this.#record : this.#record + 1, text]);
  }

  #parseSize(digits: Uint8Array): number {
    const text = String.fromCharCode(...digits.subarray(0, 17));
    const size = /^[0-9]{1,16}$/.test(text) ? Number(text) : NaN;
    if (Number.isSafeInteger(size)) return size;
    throw this.#fail("format", "the pax size of a member is no number", this.#position);
  }

  /** Moves behind the two blocks of zeros that end an archive; `false` when the second has yet to arrive. */
  #passEnd(window: Window): boolean {
    if (this.#prelude.start !== undefined) {
      throw this.#fail("format", "the archive ends after a header that belongs to a member", this.#position);
    }
    const second = this.#position + TAR_BLOCK_BYTES;
    if (second + TAR_BLOCK_BYTES > window.end) {
      this.#acceptEnd(window);
      return true;
    }
    const index = window.locate(this.#position, 2 * TAR_BLOCK_BYTES);
    if (index < 0) return false;
    if (!isZeroBlock(window.bytes, index + TAR_BLOCK_BYTES)) {
      throw this.#fail("format", "a block of zeros stands before other blocks", this.#position);
    }
    this.#tellLost(this.#position);
    this.#isBehindEnd = true;
    this.#position = second + TAR_BLOCK_BYTES;
    return true;
  }

  /** Behind the end only zeros may follow, which fill up the last record of a tape. */
  #checkTail(window: Window): "more" | "end" {
    while (this.#position < window.end) {
      window.release(this.#position);
      const length = Math.min(TAR_BLOCK_BYTES, window.end - this.#position);
      const index = window.locate(this.#position, length);
      if (index < 0) return "more";
      if (!isZeroBlock(window.bytes, index, length)) {
        const reason = "there are bytes behind the end of the archive";
        if (!isTolerated("trailingBytes", this.#options)) throw this.#fail("format", reason, this.#position);
        this.#tell("trailingBytes", this.#position, window.end - this.#position, reason);
        return "end";
      }
      // Every archive is whole blocks. In one that is not, bytes are missing, and the end may have been a header.
      if (length < TAR_BLOCK_BYTES) throw this.#fail("truncated", "the archive ends inside a block", window.end);
      this.#position += length;
    }
    return "end";
  }

  /**
   * Takes an archive as whole that ends between two members, if that is tolerated.
   *
   * @throws {KdataError} `truncated` when it is not, or when it ends inside of something.
   */
  #acceptEnd(window: Window): void {
    const rest = window.end - this.#position;
    const index = window.locate(this.#position, rest);
    const isBetweenMembers = this.#prelude.start === undefined && isZeroBlock(window.bytes, index, rest);
    if (!isBetweenMembers || !isTolerated("missingEnd", this.#options)) throw this.#missingEnd(window.end);
    this.#tellLost(this.#position);
    this.#tell("missingEnd", this.#position, rest, "the file ends without the zeros that end an archive");
    this.#isBehindEnd = true;
    this.#position = window.end;
  }

  /** Says whether there is neither a header nor the end at `index`, and that is tolerated. */
  #isBadHeader(bytes: Uint8Array, index: number): boolean {
    if (this.#extentEnd !== undefined || !isTolerated("badHeader", this.#options)) return false;
    return !hasTarHeaderSum(bytes, index) && !isZeroBlock(bytes, index);
  }

  /** Gives up the sample that is open at a bad header. */
  #giveUp(): void {
    const start = this.#lost?.start ?? this.#open?.start ?? this.#prelude.start ?? this.#position;
    this.#lost = { start, isSearching: true, zeroBlocks: 0, key: undefined };
    this.#open = undefined;
    this.#prelude = NO_PRELUDE;
  }

  /** Looks for the next good header; `false` when it has yet to arrive. */
  #resync(window: Window, lost: LostStretch): boolean {
    for (; ; this.#position += TAR_BLOCK_BYTES) {
      window.release(this.#position);
      if (this.#position + TAR_BLOCK_BYTES > window.end) break;
      const index = window.locate(this.#position, TAR_BLOCK_BYTES);
      if (index < 0) return false;
      if (hasTarHeaderSum(window.bytes, index)) {
        lost.isSearching = false;
        return true;
      }
      lost.zeroBlocks = isZeroBlock(window.bytes, index) ? lost.zeroBlocks + 1 : 0;
    }
    lost.isSearching = false;
    if (lost.zeroBlocks < 2) return true; // the archive has no end either
    this.#tellLost(this.#position - lost.zeroBlocks * TAR_BLOCK_BYTES);
    this.#isBehindEnd = true;
    return true;
  }

  /** Says whether a member belongs to the first sample behind a bad header. The first one that does not ends what is lost. */
  #isOfLostSample(key: string, start: number): boolean {
    if (this.#lost === undefined) return false;
    this.#lost.key ??= key;
    this.#keys.add(this.#lost.key);
    if (this.#lost.key === key) return true;
    this.#tellLost(start);
    return false;
  }

  #tellLost(end: number): void {
    if (this.#lost === undefined) return;
    const { start } = this.#lost;
    this.#tell("badHeader", start, end - start, "a header checksum does not match: the samples next to it are lost");
    this.#lost = undefined;
  }

  #tell(policy: ToleranceName, byte: number, bytes: number, reason: string): void {
    const place = { source: this.#source, record: this.#record, byte };
    this.#options.onTolerated?.({ policy, ...place, ...(Number.isFinite(bytes) && { bytes }), reason });
  }

  #missingEnd(byte: number): KdataError {
    return this.#fail("truncated", "the file ends without the two blocks of zeros that end an archive", byte);
  }

  #fail(code: ErrorCode, reason: string, byte: number): KdataError {
    return new KdataError(code, `Cannot read webdataset: ${reason}`, { at: this.#at(byte) });
  }

  #at(byte: number): Position {
    return { source: this.#source, record: this.#record, byte };
  }
}

/** Members that hold no bytes of their own, or not as they are. */
const refusals: ReadonlyMap<string, string> = new Map([
  ["1", "a hard link, and links are refused"],
  ["2", "a symbolic link, and links are refused"],
  ["3", "a device"],
  ["4", "a device"],
  ["6", "a pipe"],
  ["S", "sparse"],
  ["M", "the continuation of another archive"],
]);

function isNoteChanges(header: unknown): header is NoteChanges {
  return (
    Array.isArray(header) &&
    header.every((change) => Array.isArray(change) && typeof change[0] === "number" && typeof change[1] === "string")
  );
}
