// The schema of a Parquet file as the features of a sample. Groups become dotted names, lists become tensors, lists of bytes or JSON.
// https://github.com/apache/parquet-format/blob/master/LogicalTypes.md

import { KdataError } from "../core/errors.ts";
import type { DType } from "../core/tensor.ts";
import type { ParquetFooter, SchemaElement } from "./parquet-footer.ts";

/** Groups in groups; the schemas of data sets have a handful. */
const MAX_SCHEMA_DEPTH = 40;
/** Digits behind the point of a decimal; the specification's longest types have 76 in all. */
const MAX_DECIMAL_SCALE = 1000;

/** What the values of a column are. `width` counts the bytes that a value takes in the file; 0 where each has its own length. */
export type ValueType =
  | { readonly kind: "number"; readonly dtype: DType; readonly width: number }
  | { readonly kind: "bytes" | "string" | "json"; readonly width: number }
  /** Of two's complement: little-endian in 4 and 8 bytes of a number, big-endian otherwise. */
  | { readonly kind: "decimal"; readonly width: number; readonly scale: number; readonly isBigEndian: boolean }
  | { readonly kind: "uuid"; readonly width: number };

/** A column: the values of one leaf of the schema. */
export interface Leaf {
  /** Its place among the columns of a row group. */
  readonly index: number;
  readonly path: readonly string[];
  readonly element: SchemaElement;
  readonly type: ValueType;
  /** The definition level of a value that is there, and how many lists it is in. */
  readonly maxDefinition: number;
  readonly maxRepetition: number;
}

/**
 * How values nest. A node is null where the definition level of its entry is below `definition`; a list is empty where it is below
 * `elementDefinition`, and has another element where the repetition level is `repetition`.
 */
export type Nesting =
  | { readonly kind: "leaf"; readonly definition: number; readonly leaf: Leaf }
  | {
      readonly kind: "list";
      readonly definition: number;
      readonly elementDefinition: number;
      readonly repetition: number;
      readonly element: Nesting;
    }
  | {
      readonly kind: "struct";
      readonly definition: number;
      readonly fields: readonly (readonly [name: string, nesting: Nesting])[];
    };

/** A feature of the samples. */
export interface ParquetField {
  /** The names of the schema joined by dots. */
  readonly name: string;
  readonly nesting: Nesting;
  /** The columns that it is made of. */
  readonly leaves: readonly Leaf[];
}

/** A node with what is below it. */
interface SchemaNode {
  readonly element: SchemaElement;
  readonly path: readonly string[];
  readonly definition: number;
  readonly repetition: number;
  readonly children: readonly SchemaNode[];
  readonly leaf: Leaf | undefined;
}

/**
 * Finds the features that a schema holds, in its order, and all columns.
 *
 * @throws {KdataError} `format` when the schema is no tree or a column contradicts its type; `shape` when two features have one name.
 */
export function fieldsOf(
  { elements, start }: ParquetFooter,
  source: string,
): { readonly fields: readonly ParquetField[]; readonly leaves: readonly Leaf[] } {
  const at = { source, byte: start };
  const schema = new SchemaReader(elements, (reason) => {
    return new KdataError("format", `Cannot read parquet: the schema is damaged: ${reason}`, { at });
  });
  const root = schema.read();
  const fields = root.children.flatMap((node) => fieldsBelow(node, node.element.name));
  const names = new Set<string>();
  for (const { name } of fields) {
    if (names.has(name)) {
      throw new KdataError("shape", `Cannot read parquet: two columns hold the feature "${name}"`, { at });
    }
    names.add(name);
  }
  return { fields, leaves: schema.leaves };
}

/** Builds the tree of the elements, which are listed depth first. */
class SchemaReader {
  readonly leaves: Leaf[] = [];
  readonly #elements: readonly SchemaElement[];
  readonly #fail: (reason: string) => KdataError;
  #next = 0;

  constructor(elements: readonly SchemaElement[], fail: (reason: string) => KdataError) {
    this.#elements = elements;
    this.#fail = fail;
  }

  read(): SchemaNode {
    const [root] = this.#elements;
    if (root?.type !== undefined) throw this.#fail("it has no root");
    const node = this.#node([], 0, 0, true);
    if (this.#next < this.#elements.length) throw this.#fail("it has more nodes than the root leads to");
    return node;
  }

  #node(parent: readonly string[], above: number, lists: number, isRoot: boolean): SchemaNode {
    const element = this.#elements[this.#next++];
    if (!element) throw this.#fail("a group has fewer members than it says");
    if (parent.length > MAX_SCHEMA_DEPTH) throw this.#fail("its groups nest too deep");
    const path = isRoot ? [] : [...parent, element.name];
    const definition = above + (isRoot || element.repetition === "required" ? 0 : 1);
    const repetition = lists + (!isRoot && element.repetition === "repeated" ? 1 : 0);
    if (element.type !== undefined) {
      if (element.children > 0) throw this.#fail(`the column "${path.join(".")}" is a group too`);
      const leaf: Leaf = {
        index: this.leaves.length,
        path,
        element,
        type: valueType(element, (reason) => this.#fail(`the column "${path.join(".")}" ${reason}`)),
        maxDefinition: definition,
        maxRepetition: repetition,
      };
      this.leaves.push(leaf);
      return { element, path, definition, repetition, children: [], leaf };
    }
    const children: SchemaNode[] = [];
    if (element.children < 0) throw this.#fail("a group has fewer than no members");
    for (let i = 0; i < element.children; i++) children.push(this.#node(path, definition, repetition, false));
    if (new Set(children.map((child) => child.element.name)).size < children.length) {
      throw this.#fail(`two members of the group "${path.join(".")}" have one name`);
    }
    return { element, path, definition, repetition, children, leaf: undefined };
  }
}

/** Groups that are no lists and maps are taken apart. */
function fieldsBelow(node: SchemaNode, name: string): ParquetField[] {
  const isPlainGroup = !node.leaf && node.element.repetition !== "repeated" && !isList(node) && !isMap(node);
  if (isPlainGroup) return node.children.flatMap((child) => fieldsBelow(child, `${name}.${child.element.name}`));
  const nesting = nestingOf(node);
  return [{ name, nesting, leaves: leavesBelow(nesting) }];
}

function nestingOf(node: SchemaNode): Nesting {
  if (node.element.repetition !== "repeated") return withoutRepetition(node);
  return {
    kind: "list",
    // A repeated node without a group around it is never null.
    definition: node.definition - 1,
    elementDefinition: node.definition,
    repetition: node.repetition,
    element: withoutRepetition(node),
  };
}

/** The element of a list where the node is repeated, else the node. */
function withoutRepetition(node: SchemaNode): Nesting {
  const { definition, leaf } = node;
  if (leaf) return { kind: "leaf", definition, leaf };
  const [repeated] = node.children;
  if (repeated && (isList(node) || isMap(node))) {
    return {
      kind: "list",
      definition,
      elementDefinition: repeated.definition,
      repetition: repeated.repetition,
      element: listElement(node, repeated),
    };
  }
  return {
    kind: "struct",
    definition,
    fields: node.children.map((child) => [child.element.name, nestingOf(child)] as const),
  };
}

/** The rules for lists of two levels are those of the specification ("Backward-compatibility rules"). */
function listElement(list: SchemaNode, repeated: SchemaNode): Nesting {
  const [only, second] = repeated.children;
  const isElement =
    !only ||
    second !== undefined ||
    only.element.repetition === "repeated" ||
    repeated.element.name === "array" ||
    repeated.element.name === `${list.element.name}_tuple`;
  return isElement ? withoutRepetition(repeated) : nestingOf(only);
}

function isList({ element, children }: SchemaNode): boolean {
  const says = element.logical?.id === 3 || element.converted === "LIST";
  return says && children.length === 1 && children[0]?.element.repetition === "repeated";
}

function isMap({ element, children }: SchemaNode): boolean {
  const says = element.logical?.id === 2 || element.converted === "MAP" || element.converted === "MAP_KEY_VALUE";
  return says && children.length === 1 && children[0]?.element.repetition === "repeated";
}

function leavesBelow(nesting: Nesting): Leaf[] {
  if (nesting.kind === "leaf") return [nesting.leaf];
  if (nesting.kind === "list") return leavesBelow(nesting.element);
  return nesting.fields.flatMap(([, field]) => leavesBelow(field));
}

function valueType(element: SchemaElement, fail: (reason: string) => KdataError): ValueType {
  const { type, typeLength, logical, converted } = element;
  if (logical?.id === 5 || converted === "DECIMAL") return decimalType(element, fail);
  switch (type) {
    case "BOOLEAN":
      return { kind: "number", dtype: "bool", width: 1 };
    case "INT32":
      return { kind: "number", dtype: integerDType(element, 32), width: 4 };
    case "INT64":
      return { kind: "number", dtype: integerDType(element, 64), width: 8 };
    case "INT96":
      return { kind: "number", dtype: "int64", width: 12 };
    case "FLOAT":
      return { kind: "number", dtype: "float32", width: 4 };
    case "DOUBLE":
      return { kind: "number", dtype: "float64", width: 8 };
    case "FIXED_LEN_BYTE_ARRAY":
      if (typeLength < 1) throw fail(`has values of ${typeLength} bytes`);
      if (logical?.id === 15 && typeLength === 2) return { kind: "number", dtype: "float16", width: 2 };
      if (logical?.id === 14 && typeLength === 16) return { kind: "uuid", width: 16 };
      return { kind: "bytes", width: typeLength };
    case "BYTE_ARRAY":
    case undefined:
      if (logical?.id === 12 || converted === "JSON") return { kind: "json", width: 0 };
      if (logical?.id === 1 || logical?.id === 4 || converted === "UTF8" || converted === "ENUM") {
        return { kind: "string", width: 0 };
      }
      return { kind: "bytes", width: 0 };
  }
}

function decimalType(element: SchemaElement, fail: (reason: string) => KdataError): ValueType {
  const { type, typeLength, logical } = element;
  const scale = logical?.id === 5 ? logical.scale : element.scale;
  if (scale < 0 || scale > MAX_DECIMAL_SCALE) throw fail(`has ${scale} digits behind the point`);
  if (type === "INT32" || type === "INT64") {
    return { kind: "decimal", width: type === "INT32" ? 4 : 8, scale, isBigEndian: false };
  }
  if (type === "BYTE_ARRAY") return { kind: "decimal", width: 0, scale, isBigEndian: true };
  if (type === "FIXED_LEN_BYTE_ARRAY" && typeLength > 0) {
    return { kind: "decimal", width: typeLength, scale, isBigEndian: true };
  }
  throw fail("has decimals of a type that cannot hold them");
}

/** Dates and times are the whole numbers that they are stored as. */
function integerDType({ logical, converted }: SchemaElement, bits: 32 | 64): DType {
  const [, sign = "INT", size = String(bits)] =
    logical?.id === 10
      ? ["", logical.isSigned ? "INT" : "UINT", String(logical.bitWidth)]
      : (/^(U?INT)_([0-9]+)$/.exec(converted ?? "") ?? []);
  const dtype = integers[`${sign}${size}`];
  // A width that the physical type does not hold says nothing.
  if (dtype === undefined || (bits === 64) !== dtype.endsWith("64")) return bits === 64 ? "int64" : "int32";
  return dtype;
}

const integers: Readonly<Record<string, DType>> = {
  INT8: "int8",
  INT16: "int16",
  INT32: "int32",
  INT64: "int64",
  UINT8: "uint8",
  UINT16: "uint16",
  UINT32: "uint32",
  UINT64: "uint64",
};
