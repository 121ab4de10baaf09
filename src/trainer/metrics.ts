// Metrics: what a user watches.

export {
  binaryAccuracy,
  categoricalAccuracy,
  sparseCategoricalAccuracy,
  sparseTopKCategoricalAccuracy,
  topKCategoricalAccuracy,
  type BinaryAccuracyOptions,
  type TopKOptions,
} from "./metrics/accuracy.ts";
export { auc, type AucOptions } from "./metrics/auc.ts";
export { f1Score, fBetaScore, type F1ScoreOptions, type FBetaScoreOptions } from "./metrics/f-beta-score.ts";
export { cosineSimilarity, meanOf, perplexity, rootMeanSquaredError } from "./metrics/mean.ts";
export { meanAbsoluteError, meanSquaredError } from "./metrics/mean.ts";
export { meanIoU, type MeanIoUOptions } from "./metrics/mean-iou.ts";
export type { Metric, MetricOptions } from "./metrics/metric.ts";
export { precision, recall, type PrecisionOptions } from "./metrics/precision-recall.ts";
export { r2Score, type R2ScoreOptions } from "./metrics/r2-score.ts";
