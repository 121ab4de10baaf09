import { stripVTControlCharacters } from "node:util";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { openProgress, type Notice, type ProgressMode } from "../../src/cli/progress.ts";
import { displayWidth, isColoured, isLive } from "../../src/cli/terminal.ts";

const notice: Notice = { terminal: "plan    1 tar shard", plain: "1 input", data: { shards: 1 } };

class Screen {
  text = "";
  readonly isTTY: boolean;
  readonly columns: number;

  constructor(isTTY: boolean, columns = 80) {
    this.isTTY = isTTY;
    this.columns = columns;
  }

  write(text: string): void {
    this.text += text;
  }
}

/** Runs 100 s of work that tells its progress every 10 ms, and returns what was written. */
function work(mode: ProgressMode, screen: Screen, env: Record<string, string> = {}): string {
  const progress = openProgress("convert", mode, screen, env);
  progress.begin(notice);
  for (let step = 1; step <= 10_000; step++) {
    vi.advanceTimersByTime(10);
    progress.update({ label: "train-000.tar", position: step, total: 10_000 });
  }
  progress.end({ terminal: "wrote 10,000 samples", plain: "done 10,000/10,000", data: { records: 10_000 } });
  progress.close();
  return screen.text;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});
afterEach(() => {
  vi.useRealTimers();
});

test("a terminal is redrawn at most 10 times a second", () => {
  const frames = work("auto", new Screen(true)).split("\r").length - 1;
  expect(frames).toBeGreaterThan(900);
  expect(frames).toBeLessThanOrEqual(1001); // 100 s, and the line that clears the bar
});

test("a bar has label, cells, share, position, pace and time left, and the end takes its place", () => {
  const frames = work("auto", new Screen(true)).split("\r");
  expect(frames[0]).toBe("plan    1 tar shard\n");
  expect(stripVTControlCharacters(frames[501]!)).toMatch(
    /^train-000\.tar ━{11}─{11} {2}50% {2}5,0\d\d\/10,000 {2}100 smp\/s {2}eta 0:00:50$/,
  );
  expect(frames.at(-1)).toBe("\u001b[Kwrote 10,000 samples\n");
});

test.each([200, 80, 60, 40, 20, 5])("a bar fits into %d columns", (columns) => {
  const frames = work("bar", new Screen(true, columns)).split("\n")[1]!.split("\r").slice(1, -1);
  for (const frame of frames) {
    expect(displayWidth(stripVTControlCharacters(frame))).toBeLessThan(columns);
  }
});

test("COLUMNS comes before the width of the terminal", () => {
  const longest = Math.max(
    ...work("bar", new Screen(true, 200), { COLUMNS: "50", NO_COLOR: "1" })
      .split("\r")
      .slice(1, -1)
      .map((frame) => displayWidth(stripVTControlCharacters(frame))),
  );
  expect(longest).toBeLessThan(50);
});

test("a log gets a line at the start, one every 30 s, one at the end", () => {
  expect(work("auto", new Screen(false)).split("\n")).toEqual([
    "kdata convert: 1 input",
    "kdata convert: 3,000/10,000 (30%) 100 smp/s  eta 0:01:10 train-000.tar",
    "kdata convert: 6,000/10,000 (60%) 100 smp/s  eta 0:00:40 train-000.tar",
    "kdata convert: 9,000/10,000 (90%) 100 smp/s  eta 0:00:10 train-000.tar",
    "kdata convert: done 10,000/10,000",
    "",
  ]);
});

test("programs get one JSON object a line, at most one a second", () => {
  const events = work("json", new Screen(false))
    .trimEnd()
    .split("\n")
    .map((line): unknown => JSON.parse(line));
  expect(events[0]).toEqual({ event: "begin", command: "convert", shards: 1 });
  expect(events[1]).toEqual({
    event: "progress",
    command: "convert",
    label: "train-000.tar",
    position: 100,
    total: 10_000,
    seconds: 1,
  });
  expect(events.at(-1)).toEqual({ event: "end", command: "convert", records: 10_000 });
  expect(events).toHaveLength(102);
});

test("none says nothing", () => {
  expect(work("none", new Screen(true))).toBe("");
});

test("a bar that an error interrupts is removed, once", () => {
  const screen = new Screen(true);
  const progress = openProgress("convert", "auto", screen, {});
  progress.begin(notice);
  progress.update({ label: "a.tar", position: 1, total: undefined, tail: "loss 0.53" });
  expect(screen.text).toBe("plan    1 tar shard\n\ra.tar 1  loss 0.53\u001b[K");
  progress.close();
  progress.close();
  expect(screen.text.endsWith("\u001b[K\r\u001b[K")).toBe(true);
});

test("a label cannot move the cursor", () => {
  const screen = new Screen(true);
  openProgress("convert", "bar", screen, { NO_COLOR: "1" }).update({
    label: "\u001b[2Ja",
    position: 1,
    total: undefined,
  });
  expect(screen.text).toMatch(/^\r\\u001b\[2Ja 1/);
});

test("TERM=dumb, CI and a pipe get lines instead of a bar", () => {
  const terminal = new Screen(true);
  expect(isLive(terminal, {})).toBe(true);
  expect(isLive(terminal, { TERM: "dumb" })).toBe(false);
  expect(isLive(terminal, { CI: "true" })).toBe(false);
  expect(isLive(terminal, { CI: "" })).toBe(true);
  expect(isLive(new Screen(false), {})).toBe(false);
});

test("NO_COLOR comes before FORCE_COLOR, which comes before the terminal", () => {
  expect(isColoured(new Screen(true), {})).toBe(true);
  expect(isColoured(new Screen(false), {})).toBe(false);
  expect(isColoured(new Screen(false), { FORCE_COLOR: "1" })).toBe(true);
  expect(isColoured(new Screen(true), { FORCE_COLOR: "0" })).toBe(false);
  expect(isColoured(new Screen(true), { NO_COLOR: "1", FORCE_COLOR: "1" })).toBe(false);
  expect(isColoured(new Screen(true), { TERM: "dumb" })).toBe(false);
});

test("work that draws its own line gets a stream that knows the terminal, and its line is removed too", () => {
  const screen = new Screen(true, 50);
  const progress = openProgress("train", "auto", screen, {});
  expect(progress.stream).toMatchObject({ isTTY: true, columns: 50 });
  progress.stream?.write("epoch 1/2");
  progress.close();
  expect(screen.text).toBe("epoch 1/2\r\u001b[K");
  expect(openProgress("train", "auto", new Screen(false), {}).stream).toMatchObject({ isTTY: false });
  expect(openProgress("train", "none", screen, {}).stream).toBeUndefined();
});
