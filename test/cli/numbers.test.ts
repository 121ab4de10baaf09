import { expect, test } from "vitest";
import {
  formatByteRate,
  formatBytes,
  formatBytesRange,
  formatClock,
  formatCount,
  formatDuration,
  formatQuantity,
  formatSampleRate,
  parseCount,
  parseSize,
} from "../../src/cli/numbers.ts";

test("counts have separators and agree with their noun", () => {
  expect(formatCount(60_000)).toBe("60,000");
  expect(formatQuantity(1, "input")).toBe("1 input");
  expect(formatQuantity(8, "shard")).toBe("8 shards");
});

test("sizes are in binary units with one digit, below a KiB whole", () => {
  expect(formatBytes(0)).toBe("0 B");
  expect(formatBytes(1023)).toBe("1023 B");
  expect(formatBytes(1024)).toBe("1.0 KiB");
  expect(formatBytes(244 * 2 ** 20)).toBe("244.0 MiB");
  expect(formatBytes(1.9 * 2 ** 30)).toBe("1.9 GiB");
});

test("a range of sizes has one unit, and one number when both ends are equal", () => {
  expect(formatBytesRange(3174, 88 * 1024)).toBe("3.1–88 KiB");
  expect(formatBytesRange(5, 12)).toBe("5–12 B");
  expect(formatBytesRange(784, 784)).toBe("784 B");
});

test("rates have as many digits as they deserve, and none when no time has passed", () => {
  expect(formatByteRate(318.4 * 2 ** 20)).toBe("318 MiB/s");
  expect(formatByteRate(3.42 * 2 ** 30)).toBe("3.4 GiB/s");
  expect(formatSampleRate(9835.6)).toBe("9,836 smp/s");
  expect(formatSampleRate(0 / 0)).toBe("- smp/s");
});

test("durations are seconds below a minute and a clock from there on", () => {
  expect(formatDuration(0.214)).toBe("0.21 s");
  expect(formatDuration(6.13)).toBe("6.1 s");
  expect(formatDuration(65)).toBe("0:01:05");
  expect(formatClock(4.2)).toBe("0:00:05");
  expect(formatClock(7384)).toBe("2:03:04");
});

test("sizes are read in both kinds of units, in any case, with a fraction", () => {
  expect(parseSize("256MiB", "--shard-size")).toBe(2 ** 28);
  expect(parseSize("1GB", "--shard-size")).toBe(1e9);
  expect(parseSize("1.5 gib", "--shard-size")).toBe(1.5 * 2 ** 30);
  expect(parseSize("4096", "--shard-size")).toBe(4096);
});

test.each(["", "MiB", "256M", "-1", "0", "1e9", "9999999TiB", "1 parsec"])("%j is refused as a size", (text) => {
  expect(() => parseSize(text, "--shard-size")).toThrow(
    expect.objectContaining({
      code: "usage",
      message: `Cannot read --shard-size: ${JSON.stringify(text)} is not a size`,
    }),
  );
});

test.each(["", "0", "-3", "1.5", "ten", "99999999999999999999"])("%j is refused as a count", (text) => {
  expect(() => parseCount(text, "--shards")).toThrow(expect.objectContaining({ code: "usage" }));
});
