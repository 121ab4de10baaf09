// tf.train.SequenceExample messages as features (https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/example.proto):
// a context, which has the place of the features in a tf.train.Example, and lists of features by name, one for each step.

import { KdataError, type Position } from "../core/errors.ts";
import { isBytesList, isTensor, type Feature, type Features } from "../core/sample.ts";
import { copyElements, tensor, zeros, type Tensor } from "../core/tensor.ts";
import { enter, ExampleDecoder, type DecodedExample } from "./example.ts";
import type { WantedFeatures } from "./feature-spec.ts";
import { readLength, readTag, skipField, wireTypes, type Cursor } from "./protobuf.ts";
import { Ranges } from "./ranges.ts";
import { decodeUtf8 } from "./text.ts";

/** Field 1: `FeatureLists.feature_list`, the name in a map entry, `FeatureList.feature`. */
const FIELD_1 = (1 << 3) | wireTypes.length;
/** Field 2: `SequenceExample.feature_lists`, the value in a map entry. */
const FIELD_2 = (2 << 3) | wireTypes.length;

/** What is added to the name of a list whose steps differ in length, for the feature that holds the lengths. */
const LENGTHS_SUFFIX = ".lengths";

/**
 * Decodes messages one after another. The context is as `ExampleDecoder` says. A feature list of n steps becomes, under its name:
 *
 * - where every step has k numbers: a tensor [n, k]
 * - where every step has one value of bytes: a list of n
 * - otherwise all elements, one step after another, as rank 1 or a list; their number in each step is in `<name>.lengths`, int64 [n]
 * - without steps, or without an element in any step: an empty list
 */
export class SequenceExampleDecoder {
  readonly #wanted: WantedFeatures | undefined;
  readonly #messages: ExampleDecoder;
  readonly #values = new Ranges();
  readonly #steps = new Ranges();

  /** As for `ExampleDecoder`; the lengths of a wanted list are kept where they are wanted too. */
  constructor(wanted?: WantedFeatures) {
    this.#wanted = wanted;
    this.#messages = new ExampleDecoder(wanted);
  }

  /**
   * Decodes the message from `cursor.position` to `cursor.end`.
   *
   * @throws {KdataError} `format` with the byte when it is not a tf.train.SequenceExample, when two features of it have one name,
   *   or a list has steps of different kinds.
   */
  decode(cursor: Cursor): DecodedExample {
    const { position, end } = cursor;
    const at = { source: cursor.source, record: cursor.record, byte: cursor.origin + position };
    // Field 1 is the context here and the features in an Example: the same message.
    const { key, features } = this.#messages.decode(cursor);
    cursor.position = position;
    cursor.end = end;
    const lists = new Map<string, readonly Feature[]>();
    while (cursor.position < end) {
      const tag = readTag(cursor);
      if (tag !== FIELD_2) skipField(cursor, tag);
      else this.#decodeLists(cursor, lists);
      cursor.end = end;
    }
    for (const [name, steps] of lists) {
      for (const [given, feature] of joinSteps(name, steps, at)) this.#add(features, given, feature, at);
    }
    return { key, features };
  }

  #add(features: Features, name: string, feature: Feature, at: Position): void {
    if (this.#wanted?.has(name) === false) return;
    if (features[name] !== undefined) {
      throw new KdataError("format", `Cannot read tfrecord: two features are named "${name}"`, { at });
    }
    features[name] = feature;
  }

  /** One `FeatureLists` message; a second one adds to the first. */
  #decodeLists(cursor: Cursor, lists: Map<string, readonly Feature[]>): void {
    const end = enter(cursor);
    while (cursor.position < end) {
      const tag = readTag(cursor);
      if (tag !== FIELD_1) skipField(cursor, tag);
      else this.#decodeEntry(cursor, lists);
      cursor.end = end;
    }
  }

  /** One map entry: name and list in any order, either of them missing or repeated. */
  #decodeEntry(cursor: Cursor, lists: Map<string, readonly Feature[]>): void {
    const end = enter(cursor);
    let name = "";
    this.#values.clear();
    while (cursor.position < end) {
      const tag = readTag(cursor);
      if (tag !== FIELD_1 && tag !== FIELD_2) {
        skipField(cursor, tag);
        continue;
      }
      const length = readLength(cursor);
      const start = cursor.position;
      cursor.position += length;
      if (tag === FIELD_2) {
        this.#values.add(start, cursor.position);
      } else {
        const at = { source: cursor.source, record: cursor.record, byte: cursor.origin + start };
        name = decodeUtf8(cursor.bytes.subarray(start, cursor.position), "Cannot read tf.SequenceExample: a name", at);
      }
    }
    const { position } = cursor;
    const isWanted = this.#wanted === undefined || this.#wanted.has(name) || this.#wanted.has(name + LENGTHS_SUFFIX);
    if (isWanted) lists.set(name, this.#decodeSteps(cursor));
    cursor.position = position;
  }

  /** The values of an entry are parts of one FeatureList: their steps add up. */
  #decodeSteps(cursor: Cursor): readonly Feature[] {
    const steps = this.#steps;
    steps.clear();
    for (let i = 0; i < this.#values.count; i++) {
      cursor.position = this.#values.start(i);
      const end = (cursor.end = this.#values.end(i));
      while (cursor.position < end) {
        const tag = readTag(cursor);
        if (tag !== FIELD_1) {
          skipField(cursor, tag);
          continue;
        }
        const length = readLength(cursor);
        steps.add(cursor.position, cursor.position + length);
        cursor.position += length;
      }
    }
    return Array.from({ length: steps.count }, (_, i) =>
      this.#messages.decodeFeature(cursor, steps.start(i), steps.end(i)),
    );
  }
}

/** Makes of the steps of a list the features that stand for it. */
function joinSteps(name: string, steps: readonly Feature[], at: Position): [name: string, feature: Feature][] {
  const lengths = steps.map(lengthOf);
  const filled = steps.filter((_, i) => lengths[i] !== 0);
  if (filled.length === 0) return [[name, []]];
  const kinds = new Set(filled.map(kindOf));
  if (kinds.size > 1) {
    const reason = `the steps of "${name}" are of several kinds: ${[...kinds].join(", ")}`;
    throw new KdataError("format", `Cannot read tfrecord: ${reason}`, { at });
  }
  const [first = 0] = lengths;
  const isEven = lengths.every((length) => length === first);
  const tensors = filled.filter((step): step is Tensor => typeof step === "object" && isTensor(step));
  if (tensors.length > 0) {
    const joined = joinTensors(tensors);
    if (isEven) return [[name, { ...joined, shape: [steps.length, first] }]];
    return [
      [name, joined],
      [name + LENGTHS_SUFFIX, int64s(lengths)],
    ];
  }
  const values = filled.flatMap((step) => (step instanceof Uint8Array ? [step] : isBytesListOf(step)));
  if (isEven && first === 1) return [[name, values]];
  return [
    [name, values],
    [name + LENGTHS_SUFFIX, int64s(lengths)],
  ];
}

function lengthOf(step: Feature): number {
  if (step instanceof Uint8Array) return 1;
  if (typeof step === "object" && isBytesList(step)) return step.length;
  return typeof step === "object" && isTensor(step) ? step.data.length : 0;
}

function kindOf(step: Feature): string {
  return typeof step === "object" && !(step instanceof Uint8Array) && isTensor(step) ? step.dtype : "bytes";
}

function isBytesListOf(step: Feature): readonly Uint8Array[] {
  return typeof step === "object" && isBytesList(step) ? step : [];
}

function joinTensors(steps: readonly Tensor[]): Tensor {
  const dtype = steps[0]?.dtype ?? "float32";
  const joined = zeros(dtype, [steps.reduce((sum, { data }) => sum + data.length, 0)]);
  let filled = 0;
  for (const { data } of steps) {
    copyElements(joined.data, data, filled);
    filled += data.length;
  }
  return joined;
}

function int64s(numbers: readonly number[]): Tensor {
  return tensor("int64", [numbers.length], BigInt64Array.from(numbers, BigInt));
}
