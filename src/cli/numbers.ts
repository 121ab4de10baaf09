// Numbers as people write and read them: 60,000 · 244.0 MiB · 9,836 smp/s · 6.1 s · 0:00:05, and sizes such as 256MiB.

import { KdataError } from "../core/errors.ts";

const BINARY_UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** Bytes of one unit, by its name in lower case. A bare `M` is left out: half the tools mean 1000², the others 1024². */
const sizeUnits: Readonly<Record<string, number>> = {
  "": 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/** Formats a whole number with separators: `60,000`. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString("en-US");
}

/** Formats a number of things: `1 input`, `8 shards`. */
export function formatQuantity(count: number, singular: string, plural = `${singular}s`): string {
  return `${formatCount(count)} ${count === 1 ? singular : plural}`;
}

/** Formats a size with one digit after the point: `244.0 MiB`; below a KiB whole bytes: `512 B`. */
export function formatBytes(bytes: number): string {
  const power = unitPower(bytes);
  return power === 0 ? `${Math.round(bytes)} B` : `${scaled(bytes, power).toFixed(1)} ${BINARY_UNITS[power] ?? ""}`;
}

/** Formats a smallest and a largest size in one unit: `3.1–88 KiB`; one alone when they are equal. */
export function formatBytesRange(min: number, max: number): string {
  const power = unitPower(max);
  const [from, to] = [min, max].map((bytes) => {
    const value = scaled(bytes, power);
    return power > 0 && value < 10 ? value.toFixed(1) : value.toFixed(0);
  });
  const unit = BINARY_UNITS[power] ?? "";
  return from === to ? `${to ?? ""} ${unit}` : `${from ?? ""}–${to ?? ""} ${unit}`;
}

/** Formats a throughput: `318 MiB/s`, `3.4 GiB/s`. */
export function formatByteRate(bytesPerSecond: number): string {
  if (!Number.isFinite(bytesPerSecond)) return "- MiB/s";
  const power = unitPower(bytesPerSecond);
  const value = scaled(bytesPerSecond, power);
  return `${value < 10 && power > 0 ? value.toFixed(1) : value.toFixed(0)} ${BINARY_UNITS[power] ?? ""}/s`;
}

/** Formats a throughput of samples: `9,836 smp/s`. */
export function formatSampleRate(samplesPerSecond: number): string {
  return `${Number.isFinite(samplesPerSecond) ? formatCount(samplesPerSecond) : "-"} smp/s`;
}

/** Formats a duration: `0.21 s`, `6.1 s`, and from a minute on `0:01:05`. */
export function formatDuration(seconds: number): string {
  if (seconds < 1) return `${seconds.toFixed(2)} s`;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : formatClock(seconds);
}

/** Formats hours, minutes and seconds: `0:00:05`. */
export function formatClock(seconds: number): string {
  const whole = Math.ceil(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return `${hours}:${String(minutes).padStart(2, "0")}:${String(rest).padStart(2, "0")}`;
}

/**
 * Reads a size in bytes: `256MiB`, `1GB`, `1.5 GiB`, `4096`. The message names `what`: the flag.
 *
 * @throws {KdataError} `usage` when it is not a size of at least one byte.
 */
export function parseSize(text: string, what: string): number {
  const [, digits = "", unit = ""] = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/i.exec(text.trim()) ?? [];
  const bytes = Math.floor(Number(digits) * (sizeUnits[unit.toLowerCase()] ?? NaN));
  if (digits === "" || !Number.isSafeInteger(bytes) || bytes < 1) {
    throw new KdataError("usage", `Cannot read ${what}: ${JSON.stringify(text)} is not a size`, {
      hint: "Sizes are written 256MiB, 1GB or as a number of bytes.",
    });
  }
  return bytes;
}

/**
 * Reads a whole number from `smallest` on. The message names `what`: the flag.
 *
 * @throws {KdataError} `usage` when it is something else.
 */
export function parseCount(text: string, what: string, smallest = 1): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(count) || count < smallest) {
    throw new KdataError(
      "usage",
      `Cannot read ${what}: ${JSON.stringify(text)} is not a whole number from ${smallest} on`,
    );
  }
  return count;
}

/** Says in which unit a size is written: the largest of which it has one. */
function unitPower(bytes: number): number {
  let power = 0;
  while (power < BINARY_UNITS.length - 1 && bytes >= 1024 ** (power + 1)) power++;
  return power;
}

function scaled(bytes: number, power: number): number {
  return bytes / 1024 ** power;
}
