// What a command shows while it runs, on standard error: a bar on a terminal, a few lines elsewhere, JSON Lines for programs.

import { formatClock, formatCount, formatSampleRate } from "./numbers.ts";
import {
  clamp,
  columnsOf,
  displayWidth,
  isColoured,
  isLive,
  paint,
  printable,
  type Environment,
  type TextStream,
} from "./terminal.ts";

/** The values of `--progress`. */
export const progressModes = ["auto", "bar", "plain", "json", "none"] as const;

/** How progress is shown; `auto` is `bar` on a terminal and `plain` elsewhere. */
export type ProgressMode = (typeof progressModes)[number];

/** Something to tell, in each of the forms that it may be shown in. */
export interface Notice {
  /** The line on a terminal; left out where a terminal shows enough without one. */
  readonly terminal?: string;
  /** The line in a log; the name of the command comes before it. */
  readonly plain: string;
  /** What programs are told. */
  readonly data: object;
}

/** How far a task is. */
export interface ProgressState {
  /** What is being worked on: a shard, an epoch. */
  readonly label: string;
  /** Samples, steps or whatever is counted, so far. */
  readonly position: number;
  /** Of how many; `undefined` when nobody knows. */
  readonly total: number | undefined;
  /** What comes after the position, such as `loss 0.53 acc 0.81`; the samples per second and the time left if left out. */
  readonly tail?: string;
  /** What comes after that: `2 workers`. */
  readonly note?: string;
}

/** The progress of one command. Nothing throws: progress that nobody can see is not worth a failure. */
export interface Progress {
  /** For work that draws its own line; `undefined` when there is nothing to show, or programs are told. */
  readonly stream: TextStream | undefined;
  /** Tells what is going to be done and starts the clock. */
  begin(notice: Notice): void;
  /** Tells something more about it. The clock runs on. */
  note(notice: Notice): void;
  /** Shows how far the task is, on a terminal its parts above it, each with a bar of its own; as cheap as reading a clock when it is not yet time to show anything. */
  update(state: ProgressState, parts?: readonly ProgressState[]): void;
  /** Tells what came of it, in place of the bar. */
  end(notice: Notice): void;
  /** Removes the bar, so that an error stands alone. Harmless when there is none. */
  close(): void;
}

type SettledMode = Exclude<ProgressMode, "auto">;

/** A terminal is redrawn at most 10 times a second, a log gets a line every 30 s, a program one a second. */
const intervalsMs = { bar: 100, plain: 30_000, json: 1000, none: Infinity } as const;

const MAX_BAR_CELLS = 24;
const MIN_BAR_CELLS = 6; // a shorter bar says less than the room it takes
const MAX_LABEL_COLUMNS = 24;

/**
 * Opens the progress of a command, whose name begins the lines of a log. Of the environment TERM, CI, COLUMNS, NO_COLOR and
 * FORCE_COLOR are honoured.
 */
export function openProgress(command: string, mode: ProgressMode, stream: TextStream, env: Environment): Progress {
  const settled = settleMode(mode, stream, env);
  const coloured = isColoured(stream, env);
  let started = performance.now();
  let nextMs = started;
  let isDrawn = false;
  let linesAbove = 0; // bars above the one that the cursor stands in

  function goToFirst(): string {
    return linesAbove > 0 ? `\r\u001b[${linesAbove}A` : "\r";
  }
  function clear(): void {
    if (isDrawn) stream.write(linesAbove > 0 ? `${goToFirst()}\u001b[J` : "\r\u001b[K");
    isDrawn = false;
    linesAbove = 0;
  }
  function write(text: string): void {
    stream.write(text);
    isDrawn = !text.endsWith("\n");
  }
  function draw(lines: readonly string[]): void {
    const fewer = lines.length - 1 < linesAbove ? "\u001b[J" : "";
    write(`${goToFirst()}${lines.map((line) => `${line}\u001b[K`).join("\n")}${fewer}`);
    linesAbove = lines.length - 1;
  }
  function tell(event: "begin" | "note" | "end", notice: Notice): void {
    clear();
    if (settled === "bar" && notice.terminal !== undefined) stream.write(`${printable(notice.terminal)}\n`);
    if (settled === "plain") stream.write(`kdata ${command}: ${printable(notice.plain)}\n`);
    if (settled === "json") stream.write(`${JSON.stringify({ event, command, ...notice.data })}\n`);
  }
  const isText = settled === "bar" || settled === "plain";
  return {
    stream: isText ? { isTTY: settled === "bar", columns: columnsOf(stream, env), write } : undefined,
    begin(notice) {
      tell("begin", notice);
      started = performance.now();
      // A bar is shown at once; a log has just been told.
      nextMs = settled === "bar" ? started : started + intervalsMs[settled];
    },
    note(notice) {
      tell("note", notice);
    },
    update(state, parts = []) {
      const now = performance.now();
      if (settled === "none" || now < nextMs) return;
      nextMs = now + intervalsMs[settled];
      const seconds = (now - started) / 1000;
      if (settled === "bar") {
        const columns = columnsOf(stream, env);
        draw(alignLabels([...parts, state]).map((part) => barLine(part, seconds, columns, coloured)));
      }
      if (settled === "plain") stream.write(`kdata ${command}: ${printable(plainLine(state, seconds))}\n`);
      if (settled === "json") stream.write(`${jsonLine(command, state, seconds)}\n`);
    },
    end(notice) {
      tell("end", notice);
    },
    close: clear,
  };
}

function settleMode(mode: ProgressMode, stream: TextStream, env: Environment): SettledMode {
  if (mode !== "auto") return mode;
  return isLive(stream, env) ? "bar" : "plain";
}

/** `train-003.tar ━━━━━━━━━━━━╸━━━━━━━━━━━  51%  3,824/7,500  9,812 smp/s  eta 0:00:01`, in at most so many columns. */
function barLine(state: ProgressState, seconds: number, columns: number, coloured: boolean): string {
  const label = clamp(printable(state.label), MAX_LABEL_COLUMNS);
  const numbers = [positionText(state), printable(tailOf(state, seconds))].join("  ").trimEnd();
  const share = shareOf(state);
  // One column stays free: some terminals wrap when the last one is written.
  const room = columns - 1;
  if (share === undefined) return clamp(`${label} ${numbers}`, room);
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  const cells = Math.min(MAX_BAR_CELLS, room - displayWidth(`${label}  ${percent}  ${numbers}`));
  if (cells < MIN_BAR_CELLS) return clamp(`${label} ${percent}  ${numbers}`, room);
  const full = Math.round(share * cells);
  const bar = paint("━".repeat(full), "cyan", coloured) + paint("─".repeat(cells - full), "dim", coloured);
  return `${label} ${bar} ${percent}  ${numbers}`;
}

/** `3,824/7,500 (51%) 9,812 smp/s eta 0:00:01 train-003.tar`. */
function plainLine(state: ProgressState, seconds: number): string {
  const share = shareOf(state);
  const percent = share === undefined ? "" : ` (${Math.floor(share * 100)}%)`;
  return `${positionText(state)}${percent} ${tailOf(state, seconds)} ${state.label}`;
}

function jsonLine(command: string, { label, position, total, tail }: ProgressState, seconds: number): string {
  return JSON.stringify({ event: "progress", command, label, position, total, tail, seconds });
}

function tailOf(state: ProgressState, seconds: number): string {
  const tail = state.tail ?? paceText(state, seconds);
  return state.note === undefined ? tail : `${tail}  ${state.note}`;
}

/** Pads the labels of bars that stand above each other to one width. */
function alignLabels(states: readonly ProgressState[]): readonly ProgressState[] {
  const width = Math.min(MAX_LABEL_COLUMNS, Math.max(...states.map(({ label }) => displayWidth(label))));
  return states.map((state) => ({
    ...state,
    label: state.label + " ".repeat(Math.max(0, width - displayWidth(state.label))),
  }));
}

function positionText({ position, total }: ProgressState): string {
  return total === undefined ? formatCount(position) : `${formatCount(position)}/${formatCount(total)}`;
}

function paceText({ position, total }: ProgressState, seconds: number): string {
  const rate = position / seconds;
  const left = total === undefined ? NaN : (total - position) / rate;
  return `${formatSampleRate(rate)}${Number.isFinite(left) ? `  eta ${formatClock(left)}` : ""}`;
}

/** The part that is done, from 0 to 1; `undefined` when the total is not known. */
function shareOf({ position, total }: ProgressState): number | undefined {
  if (total === undefined) return undefined;
  return total === 0 ? 1 : Math.min(1, position / total);
}
