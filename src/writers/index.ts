// Public exports of kdata/writers.

export { writableCsv, writableTsv } from "./csv.ts";
export type { ShardWriter, WritableFormat, WrittenShard } from "./format.ts";
export { writableFormatByName, writableFormats } from "./formats.ts";
export { writableJsonl } from "./jsonl.ts";
export { writableNpy } from "./npy.ts";
export { writableNpz } from "./npz.ts";
export { writableParquet } from "./parquet.ts";
export { writableSafetensors } from "./safetensors.ts";
export { ShardedWriter, type Splitting } from "./sharded.ts";
export type { ByteSink } from "./sink.ts";
export { writableTfrecord } from "./tfrecord.ts";
export { writableWebdataset } from "./webdataset.ts";
