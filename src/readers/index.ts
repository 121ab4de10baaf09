// Public exports of kdata/readers.

export { folder } from "./folder.ts";
export type { Format, Limits, ReadOptions, RecordIndex, ShardFiles, ShardReader, StrayMembers } from "./format.ts";
export { formatByName, formats } from "./formats.ts";
export { idx } from "./idx.ts";
export { defaultLimits } from "./limits.ts";
export { npy } from "./npy.ts";
export { npz } from "./npz.ts";
export { findDataset, openShard, openStream, type Dataset } from "./open.ts";
export { safetensors } from "./safetensors.ts";
export { FileSource } from "./source-file.ts";
export { MemorySource } from "./source-memory.ts";
export { streamSource } from "./source-stream.ts";
export type { ByteSource, SeekableSource, StreamSource } from "./source.ts";
export { tfrecord } from "./tfrecord.ts";
export { webdataset } from "./webdataset.ts";
