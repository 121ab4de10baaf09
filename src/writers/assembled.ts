// Shards that are one file made of whole arrays: each feature's array is written to a file of its own first, and when all rows
// are known a format puts them together.

import type { Sample } from "../core/sample.ts";
import type { ColumnFile } from "./column-files.ts";
import type { ShardWriter, WrittenShard } from "./format.ts";
import { PartialFile } from "./output.ts";
import { RowColumns, type RowTarget } from "./row-columns.ts";

/** A complete array by the name of its feature. */
export type NamedColumn = readonly [name: string, column: ColumnFile];

/** How a format makes one file of arrays. */
export interface Assembly extends Pick<RowTarget, "format" | "layout" | "nameRefusal"> {
  /** Appends everything to the shard's file, arrays that are copied by `column.file` included. */
  assemble(file: PartialFile, columns: readonly NamedColumn[], records: number): void;
}

/** Starts a shard that becomes one file under `path`. */
export function createAssembled(path: string, assembly: Assembly): ShardWriter {
  return new AssembledWriter(path, assembly);
}

class AssembledWriter implements ShardWriter {
  readonly #path: string;
  readonly #assembly: Assembly;
  readonly #rows: RowColumns;
  #file: PartialFile | undefined;

  constructor(path: string, assembly: Assembly) {
    const { format, layout, nameRefusal } = assembly;
    this.#path = path;
    this.#assembly = assembly;
    this.#rows = new RowColumns({
      format,
      layout,
      source: path,
      pathOf: (_feature, column) => `${path}.${column}`,
      nameRefusal,
    });
  }

  get bytes(): number {
    return this.#rows.bytes;
  }

  get records(): number {
    return this.#rows.records;
  }

  write(sample: Sample): void {
    this.#rows.write(sample);
  }

  finish(): WrittenShard {
    const columns = this.#rows.complete();
    if (columns.length === 0) return { files: [], records: 0 };
    const file = new PartialFile(this.#path);
    this.#file = file;
    this.#assembly.assemble(file, columns, this.records);
    file.commit();
    return { files: [{ path: file.path, bytes: file.bytes }], records: this.records };
  }

  abort(): void {
    this.#file?.abort();
    this.#rows.abort();
  }
}
