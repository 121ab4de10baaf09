// Public exports of kdata/integrations: kdata in training loops that exist already. Libraries are handed in; none is imported here.

export type { BatchSource } from "./batch-source.ts";
export type { ColumnNames } from "./columns.ts";
export { fromTfDataset, type ForeignTfDataset, type FromTfDatasetOptions } from "./from-tf-dataset.ts";
export { toJaxArrays, type JaxModule } from "./jax-arrays.ts";
export { npyStream, type NpyStreamOptions } from "./npy-stream.ts";
export { toOrtFeeds, type OrtRuntime } from "./ort-feeds.ts";
export { toNodeStream, toWebStream } from "./streams.ts";
export { toTfDataset, type TfBatch, type TfCore, type TfDataset, type TfDatasetOptions } from "./tf-dataset.ts";
export { toBatches, type ForeignRecord, type Iterables, type ToBatchesOptions } from "./to-batches.ts";
export type { ForeignValue, NestedNumbers, RemoteTensor, ShapedElements } from "./values.ts";
