// Lists of lists, of groups and of text, put together from their columns. https://research.google/pubs/pub36632/ (Dremel), section 4.3

import type { JsonValue } from "../core/sample.ts";
import type { DecodedColumn } from "./parquet-chunk.ts";
import type { Leaf, Nesting } from "./parquet-schema.ts";

/** Gives the JSON value of a value of a column, counted from the first one in the row group. */
export type LeafValue = (column: DecodedColumn, value: number) => JsonValue;

/** Where the reading of a column is. */
interface ColumnCursor {
  readonly column: DecodedColumn;
  entry: number;
  value: number;
  readonly end: number;
}

/** Makes JSON of the entries of one row. */
export class RowAssembler {
  readonly #cursors = new Map<Leaf, ColumnCursor>();
  readonly #valueOf: LeafValue;

  constructor(columns: readonly DecodedColumn[], row: number, valueOf: LeafValue) {
    this.#valueOf = valueOf;
    for (const column of columns) {
      const { rowEntries, rowValues } = column;
      this.#cursors.set(column.leaf, {
        column,
        entry: rowEntries?.[row] ?? row,
        value: rowValues?.[row] ?? row,
        end: rowEntries?.[row + 1] ?? row + 1,
      });
    }
  }

  /** Says whether all entries of the row were read: columns that disagree about their lists leave some. */
  get isDone(): boolean {
    return [...this.#cursors.values()].every(({ entry, end }) => entry === end);
  }

  /** Takes the value of a node; `undefined` where the columns below it disagree. */
  take(nesting: Nesting): JsonValue | undefined {
    if (nesting.kind === "leaf") return this.#takeLeaf(nesting.leaf);
    const level = this.#definition(nesting);
    if (level === undefined) return undefined;
    if (level < nesting.definition) return this.#skip(nesting) ? null : undefined;
    if (nesting.kind === "struct") return this.#takeStruct(nesting.fields);
    if (level < nesting.elementDefinition) return this.#skip(nesting) ? [] : undefined;
    const items: JsonValue[] = [];
    do {
      const item = this.take(nesting.element);
      if (item === undefined) return undefined;
      items.push(item);
    } while (this.#repetition(nesting) === nesting.repetition);
    return items;
  }

  #takeStruct(fields: readonly (readonly [string, Nesting])[]): JsonValue | undefined {
    const object = Object.create(null) as Record<string, JsonValue>;
    for (const [name, field] of fields) {
      const value = this.take(field);
      if (value === undefined) return undefined;
      object[name] = value;
    }
    return object;
  }

  #takeLeaf(leaf: Leaf): JsonValue | undefined {
    const cursor = this.#cursors.get(leaf);
    if (!cursor || cursor.entry >= cursor.end) return undefined;
    const level = cursor.column.definition?.[cursor.entry] ?? leaf.maxDefinition;
    cursor.entry++;
    return level < leaf.maxDefinition ? null : this.#valueOf(cursor.column, cursor.value++);
  }

  /** Passes over the one entry that each column has for a node that is null or empty. */
  #skip(nesting: Nesting): boolean {
    if (nesting.kind === "list") return this.#skip(nesting.element);
    if (nesting.kind === "struct") return nesting.fields.every(([, field]) => this.#skip(field));
    const cursor = this.#cursors.get(nesting.leaf);
    if (!cursor || cursor.entry >= cursor.end) return false;
    const level = cursor.column.definition?.[cursor.entry] ?? nesting.leaf.maxDefinition;
    cursor.entry++;
    return level < nesting.leaf.maxDefinition;
  }

  #definition(nesting: Nesting): number | undefined {
    const cursor = this.#first(nesting);
    if (!cursor || cursor.entry >= cursor.end) return undefined;
    return cursor.column.definition?.[cursor.entry] ?? cursor.column.leaf.maxDefinition;
  }

  #repetition(nesting: Nesting): number {
    const cursor = this.#first(nesting);
    return cursor && cursor.entry < cursor.end ? (cursor.column.repetition?.[cursor.entry] ?? 0) : 0;
  }

  #first(nesting: Nesting): ColumnCursor | undefined {
    if (nesting.kind === "leaf") return this.#cursors.get(nesting.leaf);
    if (nesting.kind === "list") return this.#first(nesting.element);
    const [field] = nesting.fields;
    return field && this.#first(field[1]);
  }
}
