// Public exports of kdata/core.

export { isTensorColumn, type Batch, type Column } from "./batch.ts";
export { KdataError, errorCodes, formatPosition, type ErrorCode, type ErrorDetails, type Position } from "./errors.ts";
export { decodeHalf, type HalfDType } from "./half-float.ts";
export { RandomStream, deriveKey, deriveKeyFromName, philox, type RandomKey, type Words } from "./random.ts";
export {
  copySample,
  defaultKey,
  emptyFeatures,
  featureKind,
  isBytesList,
  isTensor,
  type Feature,
  type FeatureKind,
  type Features,
  type JsonFeature,
  type JsonValue,
  type Origin,
  type Sample,
} from "./sample.ts";
export {
  bytesOf,
  bytesPerElement,
  copyTensor,
  dtypes,
  elementCount,
  isDType,
  tensor,
  viewElements,
  zeros,
  type DType,
  type Tensor,
  type TensorData,
} from "./tensor.ts";
