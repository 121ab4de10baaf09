// Callbacks: what goes along with a run.

export { backupAndRestore, type BackupAndRestoreOptions } from "./callbacks/backup-and-restore.ts";
export { csvLogger, type CSVLoggerOptions } from "./callbacks/csv-logger.ts";
export { earlyStopping, type EarlyStopping, type EarlyStoppingOptions } from "./callbacks/early-stopping.ts";
export { learningRateScheduler } from "./callbacks/learning-rate-scheduler.ts";
export { modelCheckpoint, type ModelCheckpointOptions } from "./callbacks/model-checkpoint.ts";
export { reduceLROnPlateau, type ReduceLROnPlateauOptions } from "./callbacks/reduce-lr-on-plateau.ts";
export { tensorBoard, type TensorBoardOptions } from "./callbacks/tensor-board.ts";
export { terminateOnNaN, type TerminateOnNaN } from "./callbacks/terminate-on-nan.ts";
