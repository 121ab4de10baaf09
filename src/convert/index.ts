// Public exports of kdata/convert.

export { convert } from "./convert.ts";
export { planConversion } from "./plan.ts";
export type { ConvertOptions, ConvertPlan, ConvertProgress, ConvertReport, ShardProgress } from "./options.ts";
export type { SkippedSample } from "./skips.ts";
export { convertToStream, type StreamConvertOptions } from "./to-stream.ts";
