// What the cells of a column are: as its header says (`label:int64`, `image:uint8[28,28]`, written by src/writers/csv.ts), or else the
// narrowest type that fits every cell.

import { KdataError } from "../core/errors.ts";
import { emptyFeatures, type Feature, type Features } from "../core/sample.ts";
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
import { JsonScanner } from "./json-scanner.ts";
import { decodeBase64 } from "./text.ts";

/** The column that holds the key of a sample. */
export const KEY_NAME = "__key__";
/** Between the elements of a tensor in one cell. */
export const ELEMENT_SEPARATOR = " ";

/** Text as it is, JSON text, base64, or the elements of a tensor in decimal. */
export type ColumnType =
  | { readonly kind: "string" | "json" | "bytes" }
  | { readonly kind: "tensor"; readonly dtype: DType; readonly shape: readonly number[] };

/** One column. Without a type its header is the name of a feature and nothing else. */
export interface Column {
  readonly name: string;
  readonly type: ColumnType | undefined;
}

/** A column whose type is settled. */
export interface TypedColumn extends Column {
  readonly type: ColumnType;
}

const STRING: ColumnType = { kind: "string" };
const INT64: ColumnType = { kind: "tensor", dtype: "int64", shape: [] };
const FLOAT64: ColumnType = { kind: "tensor", dtype: "float64", shape: [] };

/** Not with leading zeros or a plus: `007` is a text. Minus zero has no integer. */
const WHOLE = /^(?:0|-?[1-9][0-9]*)$/;
const DECIMAL = /^-?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$/;
const SPECIAL: Readonly<Record<string, number>> = {
  nan: NaN,
  NaN: NaN,
  inf: Infinity,
  "-inf": -Infinity,
  Infinity,
  "-Infinity": -Infinity,
};
/** A NaN with other bits than the usual one, as C writes it. */
const NAN_BITS = /^nan\(0x([0-9a-f]+)\)$/;
const BOOLS: Readonly<Record<string, number>> = { false: 0, true: 1, False: 0, True: 1 };
/** Whole numbers of so many characters are exact as JavaScript numbers. */
const SAFE_CHARACTERS = 15;

/** Parses a cell of the header. What does not end in a known type is a name. */
export function parseColumn(cell: string): Column {
  const [, name = "", word = "", sizes] = /^(.*):([a-z0-9]+)(?:\[([0-9]+(?:,[0-9]+)*)\])?$/s.exec(cell) ?? [];
  if (sizes === undefined && (word === "string" || word === "json" || word === "bytes")) {
    return { name, type: { kind: word } };
  }
  const shape = sizes?.split(",").map(Number) ?? [];
  if (!isDType(word) || !shape.every(Number.isSafeInteger)) return { name: cell, type: undefined };
  return { name, type: { kind: "tensor", dtype: word, shape } };
}

/** Writes a column as a cell of the header, as {@link parseColumn} reads it. */
export function columnText(name: string, type: ColumnType): string {
  return `${name}:${typeText(type)}`;
}

/** Writes a type: `string`, `int64`, `uint8[28,28]`. */
export function typeText(type: ColumnType): string {
  if (type.kind !== "tensor") return type.kind;
  return type.shape.length === 0 ? type.dtype : `${type.dtype}[${type.shape.join(",")}]`;
}

/** Types of columns that do not say one, when nobody has seen the cells. */
export function asStrings(columns: readonly Column[]): readonly TypedColumn[] {
  return columns.map(({ name, type = STRING }) => ({ name, type }));
}

/** Finds the narrowest type of one column that fits all its cells: int64, float64 or string. */
export class TypeGuess {
  #isInt64 = true;
  #isFloat64 = true;
  #isEmpty = true;

  /** Takes a cell into account. */
  see(cell: string): void {
    this.#isEmpty = false;
    if (this.#isInt64 && parseInt64(cell) === undefined) this.#isInt64 = false;
    if (this.#isFloat64 && parseFloat64(cell) === undefined) this.#isFloat64 = false;
  }

  /** The type for the cells seen so far; string when there were none. */
  get type(): ColumnType {
    if (this.#isEmpty) return STRING;
    if (this.#isInt64) return INT64;
    return this.#isFloat64 ? FLOAT64 : STRING;
  }
}

/** Says that a cell is not of its column's type; `cell` counts from 0. */
export type CellMisfit = (cell: number, reason: string) => Error;

/** Reads the cells of a row as features, in memory of their own. A string in the column `__key__` is the key. */
export function readCells(
  columns: readonly TypedColumn[],
  cells: readonly string[],
  misfit: CellMisfit,
): { readonly key: string | undefined; readonly features: Features } {
  const features = emptyFeatures();
  let key: string | undefined;
  for (let index = 0; index < columns.length; index++) {
    const { name, type } = columns[index] as TypedColumn;
    const cell = cells[index] as string;
    if (name === KEY_NAME) {
      key = cell;
      continue;
    }
    const feature = readCell(cell, type);
    if (feature === undefined) {
      throw misfit(index, `${JSON.stringify(cell.slice(0, 40))} in column "${name}" is no ${typeText(type)}`);
    }
    features[name] = feature;
  }
  return { key, features };
}

function readCell(cell: string, type: ColumnType): Feature | undefined {
  switch (type.kind) {
    case "string":
      return cell;
    case "bytes":
      return decodeBase64(cell);
    case "json":
      return readJson(cell);
    case "tensor":
      return readTensor(cell, type.dtype, type.shape);
  }
}

const scanner = new JsonScanner((code, reason) => new KdataError(code, reason));

function readJson(cell: string): Feature | undefined {
  scanner.begin(cell);
  try {
    const json = scanner.value();
    scanner.end();
    return { json };
  } catch (error) {
    if (!(error instanceof KdataError)) throw error;
    return undefined;
  }
}

function readTensor(cell: string, dtype: DType, shape: readonly number[]): Tensor | undefined {
  if (dtype === "float16" || dtype === "bfloat16") return tensorOfBytes(cell, dtype, shape);
  if (shape.length === 0) {
    if (dtype === "int64") {
      const value = parseInt64(cell);
      return value === undefined ? undefined : tensor(dtype, shape, new BigInt64Array([value]));
    }
    if (dtype === "float64") {
      const value = parseFloat64(cell);
      if (value !== undefined) return tensor(dtype, shape, new Float64Array([value]));
    }
  }
  const elements = cell === "" ? [] : cell.split(ELEMENT_SEPARATOR);
  if (elements.length !== elementCount(shape)) return undefined;
  const result = zeros(dtype, shape);
  return elements.every((element, index) => setElement(result, index, element)) ? result : undefined;
}

/** Sets an element from its text; `false` when the text is none. */
function setElement({ dtype, data }: Tensor, index: number, text: string): boolean {
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
    if (!WHOLE.test(text)) return false;
    const value = BigInt(text);
    data[index] = value;
    return data[index] === value;
  }
  if (dtype === "bool") {
    if (!Object.hasOwn(BOOLS, text)) return false;
    data[index] = BOOLS[text] as number;
    return true;
  }
  if (data instanceof Float32Array || data instanceof Float64Array) return setFloat(data, index, text);
  if (!WHOLE.test(text)) return false;
  data[index] = Number(text);
  return data[index] === Number(text);
}

function setFloat(data: Float32Array | Float64Array, index: number, text: string): boolean {
  const bits = NAN_BITS.exec(text)?.[1];
  if (bits !== undefined) {
    const view = new DataView(data.buffer, data.byteOffset + index * data.BYTES_PER_ELEMENT, data.BYTES_PER_ELEMENT);
    if (bits.length !== 2 * data.BYTES_PER_ELEMENT) return false;
    if (data instanceof Float32Array) view.setUint32(0, parseInt(bits, 16), true);
    else view.setBigUint64(0, BigInt(`0x${bits}`), true);
    return Number.isNaN(data[index]);
  }
  const value = parseFloat64(text);
  if (value === undefined) return false;
  data[index] = value;
  return Number.isFinite(data[index]) || !Number.isFinite(value);
}

function tensorOfBytes(cell: string, dtype: DType, shape: readonly number[]): Tensor | undefined {
  const bytes = decodeBase64(cell);
  const count = elementCount(shape);
  if (bytes?.length !== count * bytesPerElement(dtype)) return undefined;
  return tensor(dtype, shape, viewElements(dtype, bytes.buffer, 0, count));
}

function parseInt64(text: string): bigint | undefined {
  if (!WHOLE.test(text)) return undefined;
  if (text.length <= SAFE_CHARACTERS) return BigInt(Number(text));
  const value = BigInt(text);
  return BigInt.asIntN(64, value) === value ? value : undefined;
}

/** Fractions are rounded to the nearest float, as everywhere; a whole number that would lose digits is no float. */
function parseFloat64(text: string): number | undefined {
  if (!DECIMAL.test(text)) return Object.hasOwn(SPECIAL, text) ? SPECIAL[text] : undefined;
  const value = Number(text);
  if (!Number.isFinite(value)) return undefined;
  if (text.length > SAFE_CHARACTERS && WHOLE.test(text) && BigInt(value) !== BigInt(text)) return undefined;
  return value;
}
