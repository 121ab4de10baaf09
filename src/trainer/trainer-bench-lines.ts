// The report of a bench of trainers as lines for people.

import type { KnobEffect } from "./knob-bench.ts";
import type { BackendTimes, TrainerBenchReport } from "./trainer-bench.ts";

const MIB = 2 ** 20;

/** Formats what was measured as two tables, what is missing and why, and the recommendation. */
export function formatTrainerBench(report: TrainerBenchReport): string[] {
  const { backends, knobs, batchSize, steps, rounds } = report;
  const here = backends.filter(({ absent }) => absent === undefined);
  const absent = [
    ...backends.flatMap(({ backend, absent: reason }) => (reason === undefined ? [] : [`${backend}: ${reason}`])),
    ...knobs.flatMap(({ backend, knob, value, absent: reason }) =>
      reason === undefined ? [] : [`${backend} ${knob}=${value}: ${reason}`],
    ),
  ];
  const measured = knobs.filter(({ verdict }) => verdict !== "not here");
  return [
    `batches of ${batchSize}, ${steps} steps`,
    ...table(["backend", "ms/step", "samples/s", "first step", "data wait", "memory", "where"], here.map(backendRow)),
    ...(measured.length === 0 ? [] : ["", `one knob at a time, in turn with the default, median of ${rounds} rounds`]),
    ...(measured.length === 0
      ? []
      : table(["backend", "knob", "of", "ms/step", "default", "ratio", "", "loss differs"], measured.map(knobRow))),
    ...(absent.length === 0 ? [] : ["", "not here:", ...absent.map((reason) => `  ${reason}`)]),
    "",
    recommendationLine(report),
  ];
}

function backendRow(times: BackendTimes): string[] {
  const { backend, msPerStep, samplesPerSecond, firstStepMs, dataWait, memoryBytes, engine, device } = times;
  return [
    backend,
    msPerStep.toFixed(2),
    Math.round(samplesPerSecond).toLocaleString("en-US"),
    `${firstStepMs.toFixed(0)} ms`,
    `${(dataWait * 100).toFixed(0)} %`,
    `${(memoryBytes / MIB).toFixed(0)} MiB`,
    `${engine}, ${device}`,
  ];
}

function knobRow(effect: KnobEffect): string[] {
  const { backend, knob, value, of, msPerStep, defaultMsPerStep, ratio, verdict, lossDifference } = effect;
  return [
    backend,
    `${knob}=${value}`,
    of,
    msPerStep.toFixed(2),
    defaultMsPerStep.toFixed(2),
    ratio.toFixed(2),
    verdict,
    lossDifference === 0 ? "0" : lossDifference.toExponential(1),
  ];
}

function recommendationLine({ recommendation }: TrainerBenchReport): string {
  if (recommendation === null) return "recommended: nothing, no backend runs here";
  const { backend, knobs, speedup } = recommendation;
  const settings = Object.entries(knobs).map(([name, value]) => `${name}=${value}`);
  if (settings.length === 0) return `recommended: ${backend}, knobs as they are`;
  return `recommended: ${backend} with ${settings.join(" ")} (${speedup.toFixed(2)} times as fast)`;
}

/** Lines up columns, two spaces apart. */
function table(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((name, column) => Math.max(name.length, ...rows.map((row) => row[column]?.length ?? 0)));
  return [header, ...rows].map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
}
