// How the features of a sample stand in a line of JSON. What JSON says by itself (strings, whole numbers, other numbers, booleans,
// regular arrays of them, JSON) stands as it is; the rest as an object whose first name says what it is. Read here, written by
// src/writers/jsonl-features.ts.

import type { Feature } from "../core/sample.ts";
import {
  bytesPerElement,
  elementCount,
  isDType,
  tensor,
  viewElements,
  zeros,
  type DType,
  type Tensor,
} from "../core/tensor.ts";
import type { JsonNumbers, JsonScanner } from "./json-scanner.ts";
import { decodeBase64 } from "./text.ts";

/** The member that holds the key of a sample whose key is not the default one. */
export const KEY_NAME = "__key__";
/** The first name of an object that stands for bytes, a list of bytes, a tensor, or for JSON that would read as something else. */
export const MARKERS = { bytes: "$bytes", list: "$list", tensor: "$tensor", json: "$json" } as const;

/** So short arrays lie on V8's heap, as long as nobody asks for their buffer, which would cost more than their bigints. */
const ON_HEAP_ELEMENTS = 8;
const MAX_UINT64 = 2n ** 64n - 1n;
const markers: ReadonlySet<string | undefined> = new Set(Object.values(MARKERS));

/** Says whether an object whose first name is this one stands for something else. */
export function isMarker(name: string | undefined): boolean {
  return markers.has(name);
}

/**
 * Reads the value at the scanner's place as a feature, in memory of its own.
 *
 * @throws {KdataError} `format` when an object that stands for a feature is not as it should be.
 */
export function readFeature(scanner: JsonScanner): Feature {
  switch (scanner.peek()) {
    case '"':
      return scanner.string();
    case "{":
      return isMarker(scanner.peekName()) ? readMarked(scanner) : { json: scanner.value() };
    case "n":
      return { json: scanner.value() };
    default: {
      const numbers = scanner.numbers();
      return numbers ? naturalTensor(numbers) : { json: scanner.value() };
    }
  }
}

/** Whole numbers are int64, others float64. */
function naturalTensor({ kind, shape, values }: JsonNumbers): Tensor {
  if (kind === "int") return tensor("int64", shape, int64Data(values));
  if (kind === "float") return tensor("float64", shape, new Float64Array(values as readonly number[]));
  return tensor("bool", shape, new Uint8Array(values as readonly number[]));
}

function int64Data(values: readonly (number | bigint)[]): BigInt64Array<ArrayBuffer> {
  const data = new BigInt64Array(values.length);
  if (values.length <= ON_HEAP_ELEMENTS) {
    for (let i = 0; i < values.length; i++) data[i] = BigInt(values[i] as number | bigint);
    return data;
  }
  const words = new Int32Array(data.buffer);
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number | bigint;
    if (typeof value === "bigint") {
      data[i] = value;
    } else {
      // Halves are faster than a bigint for each number; little-endian, as everywhere in kdata.
      words[2 * i] = value % 2 ** 32;
      words[2 * i + 1] = Math.floor(value / 2 ** 32);
    }
  }
  return data;
}

/** The members of an object that stands for a feature. */
interface Marked {
  json?: Feature;
  bytes?: string;
  list?: readonly string[];
  dtype?: string;
  shape?: JsonNumbers | undefined;
  data?: JsonNumbers | undefined;
  base64?: string;
}

function readMarked(scanner: JsonScanner): Feature {
  const found: Marked = {};
  const seen = new Set<string>();
  scanner.object((name) => {
    if (seen.has(name)) throw scanner.fail(`the name ${JSON.stringify(name)} comes twice in an object`);
    seen.add(name);
    readMember(scanner, name, found);
  });
  const names = [...seen].join(" ");
  if (names === MARKERS.json && found.json) return found.json;
  if (names === MARKERS.bytes) return bytesOfBase64(found.bytes ?? "", scanner);
  if (names === MARKERS.list) return (found.list ?? []).map((item) => bytesOfBase64(item, scanner));
  const { dtype = "", shape, data, base64 = "" } = found;
  if (!isDType(dtype)) throw scanner.fail(`${JSON.stringify(dtype)} is no dtype`);
  if (names === `${MARKERS.tensor} data`) return tensorOfNumbers(dtype, data, scanner);
  if (names === `${MARKERS.tensor} shape base64`) return tensorOfBytes(dtype, shape, base64, scanner);
  throw scanner.fail(`an object with the names ${names} stands for no feature`);
}

function readMember(scanner: JsonScanner, name: string, found: Marked): void {
  switch (name) {
    case MARKERS.json:
      found.json = { json: scanner.value() };
      return;
    case MARKERS.bytes:
      found.bytes = scanner.string();
      return;
    case MARKERS.list: {
      const items = scanner.value();
      const texts = Array.isArray(items) ? items.filter((item): item is string => typeof item === "string") : [];
      if (!Array.isArray(items) || texts.length < items.length)
        throw scanner.fail("a list of bytes is no list of strings");
      found.list = texts;
      return;
    }
    case MARKERS.tensor:
      found.dtype = scanner.string();
      return;
    case "shape":
      found.shape = scanner.numbers();
      if (!found.shape) scanner.value();
      return;
    case "data":
      found.data = scanner.numbers(MAX_UINT64);
      if (!found.data) scanner.value();
      return;
    case "base64":
      found.base64 = scanner.string();
      return;
    default:
      throw scanner.fail(`the name ${JSON.stringify(name)} does not belong into an object that stands for a feature`);
  }
}

function bytesOfBase64(text: string, scanner: JsonScanner): Uint8Array<ArrayBuffer> {
  const bytes = decodeBase64(text);
  if (bytes === undefined) throw scanner.fail("a text is not base64 with padding");
  return bytes;
}

function tensorOfNumbers(dtype: DType, numbers: JsonNumbers | undefined, scanner: JsonScanner): Tensor {
  if (dtype === "float16" || dtype === "bfloat16") throw scanner.fail(`the elements of ${dtype} must stand as base64`);
  if (!numbers || (numbers.kind === "bool") !== (dtype === "bool")) {
    throw scanner.fail(`the data is no number and no regular arrays of numbers, as ${dtype} is`);
  }
  const isFloat = dtype === "float32" || dtype === "float64";
  if (numbers.kind === "float" && !isFloat)
    throw scanner.fail(`the data has a fraction or an exponent, but is ${dtype}`);
  const result = zeros(dtype, numbers.shape);
  for (const [index, value] of numbers.values.entries()) {
    setElement(result, index, value);
    const stored = result.data[index] as number | bigint;
    const fits = isFloat ? Number.isFinite(stored) : BigInt(stored) === BigInt(value);
    if (!fits) throw scanner.fail(`${value} is no ${dtype}`);
  }
  return result;
}

function setElement({ data }: Tensor, index: number, value: number | bigint): void {
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[index] = BigInt(value);
  else data[index] = Number(value);
}

function tensorOfBytes(dtype: DType, shape: JsonNumbers | undefined, base64: string, scanner: JsonScanner): Tensor {
  const sizes = shape === undefined ? [] : shape.values.map(Number);
  if (
    shape &&
    (shape.kind !== "int" || shape.shape.length !== 1 || sizes.some((size) => !Number.isSafeInteger(size) || size < 0))
  ) {
    throw scanner.fail("the shape is no list of sizes");
  }
  const bytes = bytesOfBase64(base64, scanner);
  const count = elementCount(sizes);
  if (bytes.length !== count * bytesPerElement(dtype)) {
    throw scanner.fail(`${bytes.length} bytes do not fill ${dtype} [${sizes.join(", ")}]`);
  }
  if (dtype === "bool" && bytes.some((byte) => byte > 1)) throw scanner.fail("a bool is neither 0 nor 1");
  return tensor(dtype, sizes, viewElements(dtype, bytes.buffer, 0, count));
}
