import { expect, test } from "vitest";
import { exitCodeOfError } from "../../src/cli/exit-codes.ts";
import { formatError, formatUsageError } from "../../src/cli/report-error.ts";
import { KdataError, errorCodes } from "../../src/core/errors.ts";

const plain = { coloured: false, debug: false };

test("an error shows its code, position, cause and hint", () => {
  const error = new KdataError("checksum", "Cannot read tfrecord: the data checksum does not match", {
    at: { source: "a.tfrecord", record: 17, byte: 9216 },
    cause: new TypeError("bits rot"),
    hint: "Fetch the file again.",
  });
  expect(formatError(error, plain)).toBe(
    "kdata: error[checksum]: Cannot read tfrecord: the data checksum does not match (a.tfrecord, record 17, byte 9216)\n" +
      "cause: bits rot\n" +
      "hint: Fetch the file again.\n",
  );
});

test("a cause that the message quotes is not said twice", () => {
  const error = new KdataError("output", "Cannot write output: disk gone", { cause: new TypeError("disk gone") });
  expect(formatError(error, plain)).toBe("kdata: error[output]: Cannot write output: disk gone\n");
});

test("only --debug shows stacks, those of causes included", () => {
  const error = new RangeError("outer", { cause: new TypeError("inner") });
  expect(formatError(error, plain)).toBe(
    "kdata: error: outer\ncause: inner\nhint: This may be a bug in kdata: --debug shows where it happened.\n",
  );
  const shown = formatError(error, { coloured: false, debug: true });
  expect(shown).toMatch(/RangeError: outer\n +at .*report-error\.test\.ts/);
  expect(shown).toMatch(/caused by\nTypeError: inner\n +at /);
});

test("a name from a file cannot recolour the screen or fake a second line", () => {
  const error = new KdataError("format", "Cannot read tar: the member \u001b[31mred is broken");
  expect(formatError(error, plain)).toBe(
    "kdata: error[format]: Cannot read tar: the member \\u001b[31mred is broken\n",
  );
});

test("colours are terminal codes around the words that are not data", () => {
  const error = new KdataError("usage", "No", { hint: "Yes" });
  expect(formatError(error, { coloured: true, debug: false })).toBe(
    "kdata: \u001b[1;31merror[usage]:\u001b[0m No\n\u001b[2mhint:\u001b[0m Yes\n",
  );
});

test("what the parser complains about is one line", () => {
  expect(formatUsageError("error: unknown option '--too'\n(Did you mean --to?)\n", false)).toBe(
    "kdata: error: unknown option '--too' (did you mean --to?)\n",
  );
});

test("each error code has the exit code that the help promises", () => {
  const byExit: Record<number, string[]> = {};
  for (const code of errorCodes) (byExit[exitCodeOfError[code]] ??= []).push(code);
  expect(byExit).toEqual({
    1: ["output", "worker", "backend"],
    2: ["usage", "state"],
    3: ["input"],
    4: ["format", "truncated", "checksum", "limit", "unsupported", "shape"],
    5: ["exists"],
    6: ["package"],
    130: ["aborted"],
  });
});
