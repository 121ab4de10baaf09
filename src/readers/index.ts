// Public exports of kdata/readers.

export { csv, tsv } from "./csv.ts";
export { readColumns, type ColumnBatch } from "./columns.ts";
export type { FeatureSelection, FeatureSpec } from "./feature-spec.ts";
export type {
  ColumnReader,
  ColumnRows,
  ColumnSpec,
  DatasetIndexForm,
  DecodeOptions,
  EncodedIndex,
  Fault,
  Format,
  IndexForm,
  Limits,
  MessageKind,
  ReadOptions,
  RecordIndex,
  ShardFiles,
  ShardIndexForm,
  ShardReader,
  StrayMembers,
  Tolerance,
  Tolerated,
} from "./format.ts";
export { folder } from "./folder.ts";
export { formatByName, formats } from "./formats.ts";
export { idx } from "./idx.ts";
export { jsonl } from "./jsonl.ts";
export { defaultLimits } from "./limits.ts";
export { npy } from "./npy.ts";
export { npz } from "./npz.ts";
export { findDataset, openShard, openStream, type Dataset } from "./open.ts";
export { parquet } from "./parquet.ts";
export {
  formatSafetensorsHeader,
  parseSafetensorsHeader,
  type SafetensorsHeader,
  type StoredTensor,
} from "./safetensors-header.ts";
export { safetensors } from "./safetensors.ts";
export { FileSource } from "./source-file.ts";
export { MemorySource } from "./source-memory.ts";
export { streamSource } from "./source-stream.ts";
export type { ByteSource, SeekableSource, StreamSource } from "./source.ts";
export { tfrecord } from "./tfrecord.ts";
export { webdataset } from "./webdataset.ts";
