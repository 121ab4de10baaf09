import { expect, test } from "vitest";
import { commands } from "../../src/cli/commands.ts";
import { writableFormats } from "../../src/writers/index.ts";
import { fixture, kdata } from "./run-kdata.ts";

test("--version prints the version of package.json", async () => {
  expect(await kdata(["--version"])).toEqual({ code: 0, stdout: "0.1.0\n", stderr: "" });
});

test("--help goes to standard output and lists every verb", async () => {
  const { code, stdout, stderr } = await kdata(["--help"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  for (const { name, summary } of commands) expect(stdout).toMatch(new RegExp(`^  ${name} +${summary}$`, "m"));
});

test.each(commands.map(({ name }) => name))(
  "%s --help and help %s show its flags and the common ones",
  async (name) => {
    const { code, stdout } = await kdata([name, "--help"]);
    expect(code).toBe(0);
    expect(stdout).toMatch(/--format <form>.*--json.*--progress <mode>.*--debug/s);
    expect(await kdata(["help", name])).toEqual({ code, stdout, stderr: "" });
  },
);

test("without a verb the help goes to standard error, and the exit code says usage", async () => {
  const { code, stdout, stderr } = await kdata([]);
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr).toMatch(/^Usage: kdata/);
});

test.each([
  [["convret", "a.tar"], "kdata: error: unknown command 'convret' (did you mean convert?)\n"],
  [["convert", "a.tar", "--too", "wds"], "kdata: error: unknown option '--too' (did you mean --to?)\n"],
  [["convert", "a.tar", "-o", "out"], "kdata: error[usage]: Cannot convert: --to <format> is missing\n"],
  [["inspect"], "kdata: error: missing required argument 'spec'\n"],
  [["doctor", "now"], "kdata: error: too many arguments for 'doctor'. Expected 0 arguments but got 1.\n"],
  [
    ["head", "a.tar", "--format", "xml"],
    "kdata: error: option '--format <form>' argument 'xml' is invalid. Allowed choices are auto, human, json, jsonl, quiet.\n",
  ],
  [
    ["convert", "a.tar", "--to", "npy", "-o", "out", "--shards", "2", "--shard-size", "1MiB"],
    "kdata: error: option '--shard-size <size>' cannot be used with option '--shards <count>'\n",
  ],
  [
    ["convert", "a.tar", "--to", "npy", "-o", "out", "--shard-size", "big"],
    'kdata: error[usage]: Cannot read --shard-size: "big" is not a size\n' +
      "hint: Sizes are written 256MiB, 1GB or as a number of bytes.\n",
  ],
  [
    ["convert", "a.tar", "--to", "npy", "-o", "out", "--map", "image"],
    'kdata: error[usage]: Cannot read --map: "image" is not old=new\n',
  ],
  [
    ["inspect", "-", "a.tar"],
    "kdata: error[usage]: Cannot read standard input together with files: - must be the only input\n",
  ],
])("%j is refused with one line and exit code 2", async (args, stderr) => {
  expect(await kdata(args)).toEqual({ code: 2, stdout: "", stderr });
});

test("a format that is not known is refused with the nearest name", async () => {
  const { code, stderr } = await kdata(["convert", fixture("tfrecord/rows.tfrecord"), "--to", "tfrecrod", "-o", "out"]);
  expect(code).toBe(2);
  const names = writableFormats.map(({ name }) => name).join(", ");
  expect(stderr).toBe(
    `kdata: error[usage]: Cannot write format "tfrecrod": the formats are ${names}\nhint: Did you mean tfrecord?\n`,
  );
});

test("KDATA_FORMAT chooses the form, and a flag beats it", async () => {
  const file = fixture("tfrecord/rows.tfrecord");
  const env = { KDATA_FORMAT: "jsonl" };
  expect(JSON.parse((await kdata(["inspect", file], { env })).stdout)).toMatchObject({ schema: "kdata.inspect/1" });
  expect((await kdata(["inspect", file, "--format", "human"], { env })).stdout).toMatch(/TFRecord/);
  expect((await kdata(["inspect", file, "--format", "quiet"])).stdout).toBe("");
});

test("NO_COLOR, FORCE_COLOR and --debug change how an error looks", async () => {
  const args = ["head", "no-such.tar"];
  const coloured = await kdata(args, { env: { FORCE_COLOR: "1" } });
  expect(coloured.stderr).toContain("\u001b[1;31merror[input]:\u001b[0m");
  expect((await kdata(args, { env: { FORCE_COLOR: "1", NO_COLOR: "1" } })).stderr).not.toContain("\u001b");
  expect((await kdata([...args, "--debug"])).stderr).toMatch(/\n +at .*dist/);
});
