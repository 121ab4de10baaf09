// The line that shows a training run: a bar on a terminal, one line an epoch elsewhere.

import type { Callback, EpochLogs, StepLogs } from "./callbacks/callback.ts";

const BAR_CELLS = 24;
const REDRAW_MS = 100; // a terminal is redrawn at most 10 times a second

/** What the bar is written to: standard error, or anything alike. */
export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/**
 * Shows epochs as they run: loss, metrics, milliseconds per step, samples per second and the share of time spent waiting for data.
 *
 * On a terminal the line is redrawn in place at most 10 times a second; elsewhere each epoch is one line.
 */
export function progressBar(stream: ProgressStream): Callback {
  const live = stream.isTTY === true;
  let epochs = 1;
  let drawn = -Infinity;
  let started = 0;
  let stepMs = 0;
  let waitMs = 0;
  let samples = 0;
  return {
    onTrainBegin({ resumed }) {
      if (!resumed) return;
      for (const { path, reason } of resumed.damaged) stream.write(`passed over ${path}: ${reason}\n`);
      stream.write(
        `resume ${resumed.path}: epoch ${resumed.epoch + 1}, ${resumed.step.toLocaleString("en-US")} steps done\n`,
      );
    },
    onEpochBegin(_epoch, info) {
      epochs = info.epochs;
      started = performance.now();
      drawn = -Infinity;
      stepMs = waitMs = samples = 0;
    },
    onTrainBatchEnd(logs) {
      stepMs += logs.stepMs;
      waitMs += logs.waitMs;
      samples += logs.samples;
      const now = performance.now();
      if (!live || now - drawn < REDRAW_MS) return;
      drawn = now;
      const pace = { msPerStep: stepMs / (logs.step + 1), dataWait: waitMs / (stepMs + waitMs), samples };
      const line = stepLine(logs, epochs, { ...pace, seconds: (now - started) / 1000 });
      stream.write(`\r\x1b[2K${clamp(line, stream.columns)}`);
    },
    onEpochEnd(logs) {
      const line = epochLine(logs);
      stream.write(live ? `\r\x1b[2K${line}\n` : `${line}\n`);
    },
  };
}

function stepLine(
  logs: StepLogs,
  epochs: number,
  pace: { msPerStep: number; dataWait: number; samples: number; seconds: number },
): string {
  const done = logs.step + 1;
  const position = logs.steps === undefined ? `${done}` : `${done}/${logs.steps}`;
  return (
    `epoch ${logs.epoch + 1}/${epochs} ${bar(logs.steps === undefined ? 0 : done / logs.steps)} ${position}  ` +
    `${values(logs.running)}  ${pace.msPerStep.toFixed(1)} ms/step  ` +
    `${Math.round(pace.samples / pace.seconds).toLocaleString("en-US")} smp/s  data wait ${percent(pace.dataWait)}`
  );
}

function epochLine(logs: EpochLogs): string {
  return (
    `epoch ${logs.epoch + 1}/${logs.epochs} ${bar(1)} ${logs.steps}/${logs.steps}  ${values(logs.values)}  ` +
    `${logs.seconds.toFixed(1)} s (${logs.msPerStep.toFixed(1)} ms/step, ` +
    `${Math.round(logs.samplesPerSecond).toLocaleString("en-US")} smp/s, data wait ${percent(logs.dataWait)})`
  );
}

/** `loss 0.5312  acc 0.812  val 0.4417/0.842`: losses with four digits, metrics with three. */
function values(logs: Readonly<Record<string, number>>): string {
  const names = Object.keys(logs).filter((name) => !name.startsWith("val_"));
  const parts = names.map((name) => `${shortName(name)} ${number(name, logs[name] ?? NaN)}`);
  const validation = names
    .filter((name) => `val_${name}` in logs)
    .map((name) => number(name, logs[`val_${name}`] ?? NaN));
  if (validation.length > 0) parts.push(`val ${validation.join("/")}`);
  return parts.join("  ");
}

function shortName(name: string): string {
  return name === "accuracy" || name.endsWith("_accuracy") ? "acc" : name;
}

function number(name: string, value: number): string {
  return value.toFixed(name === "loss" ? 4 : 3);
}

function bar(share: number): string {
  const filled = Math.round(Math.min(1, share) * BAR_CELLS);
  return `${"━".repeat(filled)}${"─".repeat(BAR_CELLS - filled)}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`;
}

function clamp(line: string, columns: number | undefined): string {
  return columns !== undefined && line.length > columns ? line.slice(0, columns) : line;
}
