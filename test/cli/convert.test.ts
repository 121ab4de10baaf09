import { spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openOutput } from "../../src/cli/output.ts";
import { fixture, kdata, main, masked, mnist, type Run } from "./run-kdata.ts";

const rows = fixture("tfrecord/rows.tfrecord");

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kdata-cli-"));
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

/** Runs `kdata convert` in the test's folder. */
function convert(...args: readonly string[]): Promise<Run> {
  return kdata(["convert", ...args], { cwd: folder });
}

const kdataIn = `${process.execPath} ${main}`;

/** Runs a shell pipeline that begins with `kdata`; the exit code is that of the first part that failed. */
function piped(command: string): Promise<[code: number | null, stdout: Buffer, stderr: string]> {
  const child = spawn("bash", ["-c", `set -o pipefail; ${kdataIn} ${command}`], { cwd: folder });
  const stdout: Buffer[] = [];
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      resolve([code, Buffer.concat(stdout), stderr]);
    });
  });
}

/** Every file in the test's folder, hidden ones included, but for manifests. */
function files(): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith(".manifest.json"))
    .map((entry) => entry.name)
    .sort();
}

/** Copies a fixture with one bit of one byte flipped, or cut. */
function damaged(path: string, name: string, change: (bytes: Buffer) => Buffer): string {
  writeFileSync(join(folder, name), change(readFileSync(path)));
  return name;
}

function flipBit(at: number): (bytes: Buffer) => Buffer {
  return (bytes) => {
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    return bytes;
  };
}

test("off a terminal a conversion is two lines on standard error", async () => {
  const { code, stdout, stderr } = await convert(rows, "--to", "webdataset", "-o", "out");
  expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
  expect(masked(stderr)).toBe(
    "kdata convert: 1 input, 12 samples, 684 B\n" +
      "kdata convert: done 12/12 (100%) N smp/s 0 skipped -> out/rows.tar\n",
  );
  expect(files()).toEqual(["rows.tar"]);
});

test("on a terminal it is the plan, a bar, and what was written", async () => {
  const { stderr } = await convert(
    join(mnist, "t10k-*"),
    "--to",
    "npy",
    "-o",
    "out",
    "--shards",
    "2",
    "--progress",
    "bar",
  );
  const lines = masked(stderr).split("\n");
  expect(lines[0]).toBe("plan    1 idx shard, 10,000 samples, 7.5 MiB -> 2 npy shards");
  expect(lines[1]).toMatch(/^\rt10k\S* ━*─* +\d+% {2}[\d,]+\/10,000 {2}N smp\/s/);
  expect(lines[1]).toMatch(/wrote 10,000 samples, 2 shards, 7\.\d MiB in N s \(N smp\/s, N MiB\/s\)$/);
  expect(lines.slice(2)).toEqual([""]);
});

test("--json prints the report, and --progress json tells programs how far it is", async () => {
  const { stdout, stderr } = await convert(rows, "--to", "tfrecord", "-o", "out", "--json", "--progress", "json");
  expect(JSON.parse(stdout)).toEqual({
    schema: "kdata.convert/1",
    records: 12,
    bytes: 684,
    seconds: expect.any(Number) as number,
    shards: [{ files: [{ path: "out/rows.tfrecord", bytes: 684 }], records: 12 }],
    skipped: 0,
    resumed: 0,
    passedOver: 0,
    tolerated: 0,
  });
  const events = stderr
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { event: string });
  expect(events[0]).toMatchObject({ event: "begin", command: "convert", records: 12, outputs: ["out/rows.tfrecord"] });
  expect(events.at(-1)).toMatchObject({ event: "end", command: "convert", records: 12 });
  expect(readFileSync(join(folder, "out/rows.tfrecord")).equals(readFileSync(rows))).toBe(true);
});

test("--format quiet says nothing at all", async () => {
  expect(await convert(rows, "--to", "npy", "-o", "out", "--format", "quiet")).toEqual({
    code: 0,
    stdout: "",
    stderr: "",
  });
});

test("--dry-run prints the plan and touches nothing", async () => {
  const { code, stdout, stderr } = await convert(
    rows,
    "--to",
    "webdataset",
    "-o",
    "out",
    "--shard-size",
    "300B",
    "--dry-run",
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toBe(
    "plan    1 tfrecord shard, 12 samples, 684 B -> ~3 webdataset shards\n" +
      "        out/rows-00000.tar\n        out/rows-00001.tar\n        out/rows-00002.tar\n",
  );
  expect(files()).toEqual([]);
});

test("features are selected, dropped and renamed", async () => {
  await convert(rows, "--to", "npy", "-o", "one", "--select", "x, y", "--map", "x=image", "--map", "y=label");
  await convert(rows, "--to", "npy", "-o", "two", "--drop", "y", "--name", "unused");
  expect(files()).toEqual(["rows.image.npy", "rows.label.npy", "rows.x.npy"]);
});

test("an output that exists is exit code 5, says what it holds, and stays as it is", async () => {
  await convert(rows, "--to", "tfrecord", "-o", "out");
  const path = join(folder, "out/rows.tfrecord");
  expect(await convert(rows, "--to", "tfrecord", "-o", "out", "--drop", "x", "--progress", "none")).toEqual({
    code: 5,
    stdout: "",
    stderr:
      "kdata: error[exists]: out/rows.tfrecord exists (12 records, complete)\nhint: --if-exists skip | overwrite | resume\n",
  });
  expect(readFileSync(path).equals(readFileSync(rows))).toBe(true);

  writeFileSync(path, readFileSync(rows).subarray(0, 100));
  const cut = await convert(rows, "--to", "tfrecord", "-o", "out", "--progress", "none");
  expect(cut.code).toBe(5);
  expect(cut.stderr).toMatch(/^kdata: error\[exists\]: out\/rows\.tfrecord exists \(not readable: /);

  const skipped = await convert(rows, "--to", "tfrecord", "-o", "out", "--if-exists", "skip", "--progress", "bar");
  expect(skipped.code).toBe(0);
  expect(skipped.stderr).toContain("passed over 1 shard that exist");
  expect((await convert(rows, "--to", "tfrecord", "-o", "out", "--if-exists", "overwrite")).code).toBe(0);
  expect(readFileSync(path).equals(readFileSync(rows))).toBe(true);
});

test("--resume says how much is there, and goes on with the rest", async () => {
  for (const name of ["a", "b", "c"]) copyFileSync(rows, join(folder, `${name}.tfrecord`));
  const args = ["*.tfrecord", "--to", "webdataset", "-o", "out"] as const;
  await convert(...args);
  const whole = readFileSync(join(folder, "out/b.tar"));
  rmSync(join(folder, "out/a.tar"));
  writeFileSync(join(folder, "out/b.tar"), whole.subarray(0, 100));
  const { code, stdout, stderr } = await convert(...args, "--resume");
  expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
  expect(masked(stderr)).toBe(
    "kdata convert: 3 inputs, 36 samples, 2.0 KiB\n" +
      "kdata convert: resume 1 of 3 shards already complete (checked size + checksum), 2 to do\n" +
      "kdata convert: done 24/24 (100%) N smp/s 0 skipped -> out (2 shards)\n",
  );
  expect(readFileSync(join(folder, "out/b.tar")).equals(whole)).toBe(true);

  const again = await convert(...args, "--if-exists", "resume", "--progress", "bar");
  expect(again.stderr).toContain("resume  3 of 3 shards already complete (checked size + checksum), 0 to do\n");
  expect(files()).toEqual(["a.tar", "a.tfrecord", "b.tar", "b.tfrecord", "c.tar", "c.tfrecord"]);
});

test("--resume refuses other arguments and says which", async () => {
  await convert(rows, "--to", "tfrecord", "-o", "out", "--shards", "2");
  const changed = await convert(
    rows,
    "--to",
    "tfrecord",
    "-o",
    "out",
    "--shards",
    "3",
    "--resume",
    "--progress",
    "none",
  );
  expect(changed).toEqual({
    code: 2,
    stdout: "",
    stderr:
      "kdata: error[state]: Cannot resume: the arguments changed: shards was 2 and is 3 now (out/.rows.tfrecord.manifest.json)\n" +
      "hint: Resume with what the conversion began with, or overwrite its output.\n",
  });
  const both = await convert(rows, "--to", "tfrecord", "-o", "out", "--resume", "--if-exists", "skip");
  expect(both.code).toBe(2);
  expect(both.stderr).toContain("--resume and --if-exists skip do not go together");
});

test("-j shows a bar for each shard that is being written and one for all of them", async () => {
  for (const name of ["a", "b", "c"]) copyFileSync(join(mnist, "t10k-images-idx3-ubyte"), join(folder, `${name}.idx`));
  const args = ["*.idx", "--to", "webdataset", "-o", "out", "-j", "2"] as const;
  const { code, stderr } = await convert(...args, "--progress", "bar");
  expect(code).toBe(0);
  const shown = masked(stderr).replaceAll("\u001b", "^");
  expect(shown).toMatch(/[abc]\.idx ━*─* +\d+% {2}[\d,]+\/10,000\^\[K\n/);
  expect(shown).toMatch(/\ntotal ━*─* +\d+% {2}[\d,]+\/30,000 {2}N smp\/s.* {2}[12] workers?\^\[K/);
  // What erases the bars depends on whether one or several are drawn when the last shard ends.
  expect(shown).toMatch(/(?:\^\[K|\^\[\d+A\^\[J)wrote 30,000 samples, 3 shards, .* in N s \(N smp\/s, N MiB\/s\)\n$/);
  const sized = await convert(...args, "--shard-size", "1GB", "--name", "n");
  expect(sized.stderr).toContain("kdata convert: no workers: shards of a size follow from one another\n");
});

test("--on-error skip leaves out what is bad, counts it, and reports it", async () => {
  damaged(rows, "rows.tfrecord", flipBit(40));
  const args = ["rows.tfrecord", "--to", "tfrecord", "-o", "out", "--on-error", "skip"] as const;
  const { code, stdout, stderr } = await convert(...args, "--report", "bad.jsonl");
  expect({ code, stdout }).toEqual({ code: 0, stdout: "" });
  expect(masked(stderr)).toBe(
    "kdata convert: 1 input, 12 samples, 684 B\n" +
      "kdata convert: done 11/12 (91%) N smp/s 1 skipped -> out/rows.tfrecord\n",
  );
  expect(readFileSync(join(folder, "bad.jsonl"), "utf8")).toMatch(
    /^\{"source":"rows\.tfrecord","record":0,"byte":\d+,"code":"checksum","reason":"Cannot read tfrecord: [^"]+"\}\n$/,
  );
  const again = await convert(...args, "--if-exists", "overwrite", "--json", "--progress", "bar");
  expect(JSON.parse(again.stdout)).toMatchObject({ records: 11, skipped: 1 });
  expect(again.stderr).toContain("), skipped 1 bad sample\n");
  const alone = await convert(rows, "--to", "npy", "-o", "out", "--report", "bad.jsonl");
  expect([alone.code, alone.stderr]).toEqual([2, expect.stringContaining("there is nothing to report")]);
});

test("--key makes the text of a feature the key", async () => {
  const missing = await convert(rows, "--to", "tfrecord", "-o", "out", "--key", "yy", "--progress", "none");
  expect([missing.code, missing.stderr]).toEqual([2, expect.stringContaining('Cannot take the key from feature "yy"')]);
  await convert(rows, "--to", "tfrecord", "-o", "out", "--key", "y");
  const { stdout } = await kdata(["head", "-n", "3", "out/rows.tfrecord", "--json"], { cwd: folder });
  const keys = stdout
    .trimEnd()
    .split("\n")
    .map((line) => (JSON.parse(line) as { __key__: string }).__key__);
  expect(keys).toEqual(["0", "1", "2"]);
});

test("-o - writes one stream to standard output, and nothing else", async () => {
  await convert(rows, "--to", "webdataset", "-o", "out");
  const [code, stdout, stderr] = await piped(
    `convert ${rows} --to webdataset -o - --progress none | ` +
      `${kdataIn} convert - --to tfrecord -o - | ${kdataIn} convert - --to webdataset -o - --progress none`,
  );
  expect(code).toBe(0);
  expect(masked(stderr)).toBe(
    "kdata convert: standard input -> standard output\n" +
      "kdata convert: done 12/12 (100%) N smp/s 0 skipped -> standard output\n",
  );
  expect(stdout.equals(readFileSync(join(folder, "out/rows.tar")))).toBe(true);
  expect(files()).toEqual(["rows.tar"]);
});

test("a reader of the stream that goes away ends it quietly", async () => {
  const [code, stdout, stderr] = await piped(
    `convert ${join(mnist, "t10k-*")} --to tfrecord -o - --progress none | head -c 100`,
  );
  expect([code, stdout.length, stderr]).toEqual([0, 100, ""]);
});

test.each([
  [["--to", "npy"], /npy cannot be written to a stream .*tfrecord, webdataset/s],
  [["--to", "tfrecord", "--shards", "2"], /a stream has no use for shards/],
  [["--to", "tfrecord", "--dry-run"], /--dry-run and -o - do not go together/],
  [["--to", "tfrecord", "--resume"], /--if-exists resume and -o - do not go together/],
  [["--to", "tfrecord", "--json"], /the data goes there, so --format json cannot/],
] as const)("-o - refuses %j", async (args, reason) => {
  const { code, stdout, stderr } = await convert(rows, ...args, "-o", "-", "--progress", "none");
  expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
  expect(stderr.replace("\nhint:", "")).toMatch(reason);
});

test("-o - writes JSON Lines, CSV and TSV as well, and what they hold comes back", async () => {
  for (const to of ["jsonl", "csv", "tsv"]) {
    const [code, stdout] = await piped(
      `convert ${rows} --to tfrecord -o - --progress none | ${kdataIn} convert - --to ${to} -o - --progress none | ` +
        `${kdataIn} convert - --from ${to} --to jsonl -o - --progress none`,
    );
    expect([code, String(stdout).split("\n").length], to).toEqual([0, 13]);
    expect(String(stdout)).toMatch(/^\{"__key__":"rows\/0",/);
  }
});

test("errors are relaxed by name, kept in the manifest, and reported", async () => {
  writeFileSync(
    join(folder, "more.tar"),
    Buffer.concat([readFileSync(fixture("webdataset/writer.tar")), Buffer.from("x")]),
  );
  const args = ["more.tar", "--to", "jsonl", "-o", "out", "--progress", "none"] as const;
  expect((await convert(...args)).code).toBe(4);
  const { code, stdout } = await convert(...args, "--trailing-bytes", "ignore", "--report", "report.jsonl", "--json");
  expect([code, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ records: 4, tolerated: 1 })]);
  expect(JSON.parse(readFileSync(join(folder, "report.jsonl"), "utf8"))).toMatchObject({
    ...{ policy: "trailingBytes", source: "more.tar", bytes: 1 },
  });
  const resumed = await convert(...args, "--resume");
  expect([resumed.code, resumed.stderr]).toEqual([2, expect.stringContaining('trailingBytes was "ignore"')]);
  const misspelt = await convert(...args, "--trailing-bytes", "drop");
  expect(misspelt.code).toBe(2);
  const features = await convert(rows, "--to", "jsonl", "-o", "some", "--features", "y", "--progress", "none");
  expect([features.code, readFileSync(join(folder, "some/rows.jsonl"), "utf8")]).toEqual([
    0,
    expect.stringMatching(/^\{"y":/),
  ]);
});

test("binary data is not written onto a terminal", () => {
  const terminal = Object.assign(new PassThrough(), { isTTY: true }) as unknown as NodeJS.WriteStream;
  expect(() => openOutput(terminal, "auto").binary()).toThrow("it is a terminal, and the data is binary");
});

test("- reads standard input", async () => {
  const { code, stderr } = await kdata(["convert", "-", "--to", "tfrecord", "-o", "out", "--name", "piped"], {
    cwd: folder,
    input: readFileSync(rows),
  });
  expect(code).toBe(0);
  expect(masked(stderr)).toBe(
    "kdata convert: standard input\nkdata convert: done 12/12 (100%) N smp/s 0 skipped -> out/piped.tfrecord\n",
  );
  expect(files()).toEqual(["piped.tfrecord"]);
});

test.each([
  [
    "a flipped bit in a TFRecord payload",
    "tfrecord/rows.tfrecord",
    "rows.tfrecord",
    flipBit(40),
    /^kdata: error\[checksum\]: .*\(rows\.tfrecord, record 0, byte \d+\)\n/,
  ],
  [
    "a flipped bit in a TFRecord length",
    "tfrecord/rows.tfrecord",
    "rows.tfrecord",
    flipBit(57),
    /^kdata: error\[checksum\]: .*\(rows\.tfrecord, record 1, byte 57\)\n/,
  ],
  [
    "a TFRecord that was cut",
    "tfrecord/rows.tfrecord",
    "rows.tfrecord",
    (bytes: Buffer) => bytes.subarray(0, 600),
    /^kdata: error\[truncated\]: .*\(rows\.tfrecord, record 10, byte \d+\)\n/,
  ],
  [
    "a flipped bit in a tar header",
    "webdataset/ustar.tar",
    "ustar.tar",
    flipBit(1024 + 3),
    /^kdata: error\[checksum\]: .*\(ustar\.tar, record \d+, byte 1024\)\n/,
  ],
  [
    "a tar that was cut",
    "webdataset/ustar.tar",
    "ustar.tar",
    (bytes: Buffer) => bytes.subarray(0, 1500),
    /^kdata: error\[truncated\]: .*\(ustar\.tar, record \d+, byte \d+\)\n/,
  ],
] as const)(
  "%s is exit code 4 with its position, and leaves nothing behind",
  async (_, source, name, change, message) => {
    damaged(fixture(source), name, change);
    const { code, stdout, stderr } = await convert(name, "--to", "npy", "-o", "out", "--progress", "none");
    expect({ code, stdout }).toEqual({ code: 4, stdout: "" });
    expect(stderr).toMatch(message);
    expect(files()).toEqual([name]);
  },
);

test("an input that is missing is exit code 3", async () => {
  const { code, stdout, stderr } = await convert("no-such-{0..3}.tar", "--to", "npy", "-o", "out");
  expect({ code, stdout }).toEqual({ code: 3, stdout: "" });
  expect(stderr).toMatch(/^kdata: error\[input\]: .*no-such-0\.tar/);
  expect(files()).toEqual([]);
});

test("an output that cannot be written is exit code 1", async () => {
  writeFileSync(join(folder, "file"), "");
  const { code, stderr } = await convert(rows, "--to", "npy", "-o", "file/out", "--progress", "none");
  expect(code).toBe(1);
  expect(stderr).toMatch(/^kdata: error\[output\]: Cannot write output: a part of the path is a file/);
});

test("^C is exit code 130 and leaves nothing partial", async () => {
  const { code, stdout, stderr } = await kdata(
    ["convert", "-", "--to", "tfrecord", "-o", "out", "--progress", "none"],
    {
      cwd: folder,
      // Part of the input is there and more may come: the conversion waits until it is interrupted.
      during(child) {
        child.stdin?.write(Buffer.concat(Array<Buffer>(10).fill(readFileSync(rows))).subarray(0, 6800));
        const partial = setInterval(() => {
          if (!existsSync(join(folder, "out/.data.tfrecord.partial"))) return;
          clearInterval(partial);
          child.kill("SIGINT");
        }, 10);
      },
    },
  );
  expect({ code, stdout, stderr }).toEqual({
    code: 130,
    stdout: "",
    stderr: "kdata: error[aborted]: Stopped on request\n",
  });
  expect(files()).toEqual([]);
});

test("a reader of the log that goes away does not stop the conversion", async () => {
  const { code } = await kdata(["convert", rows, "--to", "npy", "-o", "out"], {
    cwd: folder,
    during(child) {
      child.stderr?.destroy();
      child.stdin?.end();
    },
  });
  expect(code).toBe(0);
  expect(files()).toEqual(["rows.x.npy", "rows.y.npy"]);
});
