// What `import ... from "kdata"` gives: loading, reading, writing and converting. Training is kdata/trainer.

export {
  KdataError,
  type Batch,
  type Column,
  type DType,
  type ErrorCode,
  type Feature,
  type Position,
  type Sample,
  type Tensor,
} from "./core/index.ts";
export { convert, planConversion, type ConvertOptions, type ConvertPlan, type ConvertReport } from "./convert/index.ts";
export { loader, type Loader, type LoaderOptions, type LoaderState } from "./loaders/index.ts";
export { findDataset, openShard, openStream, type Dataset, type ShardReader } from "./readers/index.ts";
