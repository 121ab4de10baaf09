// What `import ... from "kdata"` gives: loading, reading, writing, converting and checking. Training is kdata/trainer.

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
export { bench, type BenchOptions, type BenchReport } from "./cli/bench.ts";
export { cat, type CatOptions, type CatReport } from "./cli/cat.ts";
export { ContactSheet, type SheetFeatures, type SheetReport } from "./cli/contact-sheet.ts";
export { indexShards, type IndexOptions, type IndexReport } from "./cli/make-index.ts";
export { stats, type StatsOptions, type StatsReport } from "./cli/stats.ts";
export { validate, type ValidateOptions, type ValidateReport } from "./cli/validate.ts";
export { convert, planConversion, type ConvertOptions, type ConvertPlan, type ConvertReport } from "./convert/index.ts";
export {
  fakeData,
  loader,
  mix,
  type FakeData,
  type Loader,
  type LoaderOptions,
  type LoaderState,
  type MixOptions,
  type MixSource,
} from "./loaders/index.ts";
export { findDataset, openShard, openStream, type Dataset, type ShardReader } from "./readers/index.ts";
