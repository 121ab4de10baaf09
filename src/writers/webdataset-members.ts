// Which member of a WebDataset archive a feature becomes: its extension, its content, and the note where the extension alone
// would not give back name and dtype.

import { KdataError } from "../core/errors.ts";
import { isBytesList, type Feature } from "../core/sample.ts";
import { bytesOf, type Tensor } from "../core/tensor.ts";
import { findMediaSignature } from "../readers/media-signatures.ts";
import { formatNpyHeader, npyDescrOf } from "../readers/npy-header.ts";
import { encodeJson, encodeUtf8 } from "../readers/text.ts";
import { isIntegerDType, memberKindOf, type MemberNote } from "../readers/webdataset-members.ts";

/** One feature as a member: the parts of `content` follow each other. */
export interface Member {
  readonly ext: string;
  /** What the extension does not say. */
  readonly note: MemberNote | undefined;
  readonly content: readonly Uint8Array[];
}

/** Lower case, because webdataset lowers extensions. Names in double underscores are webdataset's own. */
const PLAIN_EXT = /^(?!__)[a-z0-9_-]+(\.[a-z0-9_-]+)*$/;

/** The extension that gives back a kind of feature, after the feature's name. */
const suffixes = { int64: "cls", string: "txt", json: "json", npy: "npy" } as const;

/**
 * Turns a feature into a member. The content views the feature's memory.
 *
 * `what` begins the messages: `Cannot write webdataset: sample "a", feature "image"`.
 *
 * @throws {KdataError} `shape` when no member gives back the feature: lists, bfloat16, text that is not valid Unicode.
 */
export function memberOf(name: string, feature: Feature, what: string): Member {
  const isPlain = PLAIN_EXT.test(name);
  if (typeof feature === "string") {
    return { ...named(name, isPlain, "string"), content: [encodeUtf8(feature, what)] };
  }
  if (feature instanceof Uint8Array) {
    const found = findMediaSignature(feature)?.ext ?? "bin";
    // What a reader would decode, such as gzip, is no name for bytes as they are.
    const suffix = memberKindOf(found) === "bytes" ? found : "bin";
    const ext = isPlain && memberKindOf(name) === "bytes" ? name : `${sanitize(name)}.${suffix}`;
    return { ext, note: ext === name ? undefined : { name }, content: [feature] };
  }
  if (isBytesList(feature)) throw new KdataError("shape", `${what}: a member holds one value, and this is a list`);
  if ("json" in feature) return { ...named(name, isPlain, "json"), content: [encodeJson(feature.json, what)] };
  return tensorMember(name, isPlain, feature, what);
}

/** An integer is decimal text, unless its name asks for an array; every other tensor is an NPY file. */
function tensorMember(name: string, isPlain: boolean, value: Tensor, what: string): Member {
  const { dtype, shape, data } = value;
  const isArray = shape.length > 0 || (isPlain && memberKindOf(name) === "npy");
  if (isArray || !isIntegerDType(dtype)) {
    if (npyDescrOf(dtype) === undefined) throw new KdataError("shape", `${what}: a member holds no ${dtype}`);
    return { ...named(name, isPlain, "npy"), content: [formatNpyHeader(dtype, shape), bytesOf(data)] };
  }
  const content = [encodeUtf8(String(data[0]), what)];
  const member = named(name, isPlain, "int64");
  return dtype === "int64" ? { ...member, content } : { ext: member.ext, note: { name, dtype }, content };
}

/** The name itself where its extension means this kind, otherwise an extension that does, and a note of the name. */
function named(name: string, isPlain: boolean, kind: keyof typeof suffixes): Pick<Member, "ext" | "note"> {
  if (isPlain && memberKindOf(name) === kind) return { ext: name, note: undefined };
  return { ext: `${sanitize(name)}.${suffixes[kind]}`, note: { name } };
}

function sanitize(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9_-]/g, "_") || "_";
}
