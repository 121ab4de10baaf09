// What conversions survive: kill -9 at random moments and --resume, ^C, a full disk; and what they may take: a conversion of 2 GB below
// 300 MB resident, hostile files below 256 MB.
//
//   node scripts/soak-convert.mjs [kill] [interrupt] [disk] [memory] [hostile] [--kills 50] [--gigabytes 2] [--seed 1]
//
// Needs dist/ (npm run build). Without a name all of them run; exit code 1 if one of them fails.

import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { deflateRawSync, gzipSync, crc32 } from "node:zlib";

import { deriveKey, RandomStream } from "../dist/core/random.js";
import { tensor } from "../dist/core/tensor.js";
import { writableFormatByName } from "../dist/writers/index.js";

const main = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url));
const rssHook = fileURLToPath(new URL("./peak-memory.mjs", import.meta.url));
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    kills: { type: "string", default: "50" },
    gigabytes: { type: "string", default: "2" },
    seed: { type: "string", default: "1" },
  },
});
const soaks = { kill, interrupt, disk, memory, hostile };
const folder = mkdtempSync(join(tmpdir(), "kdata-soak-"));
let failures = 0;
try {
  for (const name of positionals.length > 0 ? positionals : Object.keys(soaks)) await soaks[name]();
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failures === 0 ? 0 : 1;

/** kill -9 at random moments, --resume each time: the bytes are those of a run that nobody stopped. */
async function kill() {
  const random = new RandomStream(deriveKey(Number(values.seed), 7));
  const input = join(folder, "kill");
  writeShards(input, 12, 400, 4000);
  const ways = [
    ["--to", "webdataset"],
    ["--to", "webdataset", "-j", "2"],
    ["--to", "tfrecord", "--shard-size", "1MiB"],
    ["--to", "npy", "--shards", "5", "-j", "2"],
  ];
  const wanted = Number(values.kills);
  let [kills, completions] = [0, 0];
  for (let round = 0; kills < wanted && round < 20 * wanted; round++) {
    const way = ways[round % ways.length];
    const [whole, out] = [join(folder, `whole-${round % ways.length}`), join(folder, "out")];
    if (!existsSync(whole)) await run(["convert", `${input}/*.tfrecord`, ...way, "-o", whole]);
    rmSync(out, { recursive: true, force: true });
    const started = performance.now();
    await run(["convert", `${input}/*.tfrecord`, ...way, "-o", out]);
    const takes = performance.now() - started;
    rmSync(out, { recursive: true, force: true });
    for (let attempt = 0; ; attempt++) {
      const child = spawn(process.execPath, [
        main,
        "convert",
        `${input}/*.tfrecord`,
        ...way,
        "-o",
        out,
        "--resume",
        "--progress",
        "none",
      ]);
      const isLast = attempt === 4 || kills === wanted;
      const timer = isLast ? undefined : setTimeout(() => child.kill("SIGKILL"), random.uniform() * takes);
      const code = await new Promise((resolve) => child.on("close", resolve));
      clearTimeout(timer);
      if (code === null) {
        kills++;
        continue;
      }
      check(code === 0, `--resume exits with ${code}`);
      completions++;
      break;
    }
    check(digest(out) === digest(whole), `${way.join(" ")}: the bytes are those of an uninterrupted run`);
  }
  report("kill", `${kills} kills, ${completions} conversions completed by --resume, each equal byte for byte`);
}

/** ^C ends behind a shard with exit code 130, a second one at once; --resume goes on. */
async function interrupt() {
  const input = join(folder, "interrupt");
  writeShards(input, 30, 400, 4000);
  for (const way of [[], ["-j", "2"]]) {
    const out = join(folder, `interrupt-out${way.length}`);
    const args = ["convert", `${input}/*.tfrecord`, "--to", "webdataset", "-o", out, ...way];
    const first = await run(args, { onPartial: out, signal: "SIGINT" });
    const shards = readdirSync(out).filter((name) => name.endsWith(".tar")).length;
    check(first.code === 130, `^C exits with 130: ${first.code}`);
    check(
      readdirSync(out).every((name) => !name.endsWith(".partial")),
      "nothing partial is left",
    );
    const second = await run([...args, "--resume"]);
    check(second.code === 0, `--resume goes on: ${second.code}`);
    const whole = join(folder, `interrupt-whole${way.length}`);
    await run(["convert", `${input}/*.tfrecord`, "--to", "webdataset", "-o", whole]);
    check(digest(out) === digest(whole), "the bytes are those of an uninterrupted run");
    report(
      "interrupt",
      `${way.join(" ") || "one thread"}: exit ${first.code} with ${shards} of 30 shards saved, resumed to the same bytes`,
    );
  }
}

/** A full disk is a clear error and leaves no final name. */
async function disk() {
  const mount = join(folder, "small");
  mkdirSync(mount);
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", mount]).status !== 0) {
    report("disk", "skipped: a small tmpfs cannot be mounted here (that needs root)");
    return;
  }
  try {
    const input = join(folder, "disk");
    writeShards(input, 1, 1000, 4000);
    for (const to of ["tfrecord", "webdataset", "npy", "npz", "jsonl", "csv", "parquet", "safetensors"]) {
      const { code, stderr } = await run(["convert", `${input}/*.tfrecord`, "--to", to, "-o", join(mount, to)]);
      const left = existsSync(join(mount, to)) ? readdirSync(join(mount, to)) : [];
      check(code === 1 && /error\[output\].*(full|space)/i.test(stderr), `${to}: exit ${code}, ${stderr.trim()}`);
      check(left.length === 0, `${to}: left ${left.join(", ")}`);
      rmSync(join(mount, to), { recursive: true, force: true });
    }
    report("disk", "8 formats: exit 1 with error[output], no name left");
  } finally {
    spawnSync("umount", [mount]);
  }
}

/** A large conversion stays below 300 MB. */
async function memory() {
  const input = join(folder, "memory");
  const bytes = Number(values.gigabytes) * 2 ** 30;
  writeShards(input, 1, Math.ceil(bytes / 200_000), 200_000);
  for (const to of ["webdataset", "npy"]) {
    const out = join(folder, "memory-out");
    const { code, peak } = await run(["convert", `${input}/*.tfrecord`, "--to", to, "-o", out]);
    check(code === 0 && peak < 300 * 2 ** 20, `${to}: exit ${code}, ${megabytes(peak)} resident, the limit is 300`);
    report("memory", `${values.gigabytes} GiB tfrecord -> ${to}: at most ${megabytes(peak)} resident`);
    rmSync(out, { recursive: true, force: true });
  }
}

/** Files below 1 MB that would like to be large stay below 256 MB, whatever reads them. */
async function hostile() {
  const zeros = Buffer.alloc(900 << 20);
  const bomb = gzipSync(zeros);
  const files = {
    "bomb.tfrecord": bomb,
    "line.jsonl": gzipSync(Buffer.concat([Buffer.from('{"a":"'), zeros.fill("x")])),
    "bomb.npz": npzOf("x.npy", Buffer.concat([npyHeader("|u1", "(838860800,)"), Buffer.alloc(800 << 20)])),
    "huge.npy": Buffer.concat([npyHeader("<f8", "(1099511627776, 1024)"), Buffer.alloc(1000)]),
    "empty-rows.npy": npyHeader("<f8", "(4503599627370496, 0)"),
    "axes.npy": npyHeader("|u1", `(${"1,".repeat(20_000)})`),
    "huge.safetensors": Buffer.concat([uint64(99_000_000n), Buffer.from('{"a":'), Buffer.alloc(900_000, 0x20)]),
    "huge.tfrecord": Buffer.concat([uint64(1n << 29n), Buffer.alloc(900_000)]),
    "huge.tar": tarOf("a.bin", 0o7777777777n, Buffer.alloc(900_000)),
    "member.tar": tarOf("a.json.gz", BigInt(bomb.length), bomb),
    "members.tar": Buffer.concat(
      Array.from({ length: 14 }, (_, i) => tarOf(`a.${i}.gz`, 65_000n, bomb.subarray(0, 65_000))),
    ),
    "nested.jsonl": Buffer.from(`{"a":${"[".repeat(900_000)}`),
    "cells.csv": Buffer.from(`${Array.from({ length: 150_000 }, (_, i) => i.toString(36)).join(",")}\n`),
    "numbers.jsonl": Buffer.from(`{"a":[${"0,".repeat(450_000)}0]}\n`),
    "huge.parquet": Buffer.concat([
      Buffer.from("PAR1"),
      Buffer.alloc(900_000, 0x19),
      Buffer.from([0xa0, 0xbb, 0x0d, 0]),
      Buffer.from("PAR1"),
    ]),
    "huge-idx3-ubyte": Buffer.from([0, 0, 8, 3, 0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 4]),
  };
  const most = { name: "", peak: 0 };
  for (const [name, bytes] of Object.entries(files)) {
    if (bytes.length >= 1_000_000) throw new Error(`${name} has ${bytes.length} bytes`);
    const path = join(folder, name);
    writeFileSync(path, bytes);
    for (const command of ["inspect", "validate", "stats"]) {
      const { code, peak, stderr } = await run([command, path, ...fromOf(name)]);
      check([0, 2, 4].includes(code), `${command} ${name}: exit ${code}, ${stderr.slice(0, 200)}`);
      check(peak < 256 * 2 ** 20, `${command} ${name}: ${megabytes(peak)} resident, the limit is 256`);
      if (peak > most.peak) Object.assign(most, { name: `${command} ${name}`, peak });
    }
    if (/jsonl|tfrecord/.test(name)) {
      const { peak } = await run(["head", "-", ...fromOf(name)], { input: bytes });
      check(peak < 256 * 2 ** 20, `head - < ${name}: ${megabytes(peak)} resident, the limit is 256`);
      if (peak > most.peak) Object.assign(most, { name: `head - < ${name}`, peak });
    }
  }
  report("hostile", `${Object.keys(files).length} files: at most ${megabytes(most.peak)} resident (${most.name})`);
}

function fromOf(name) {
  const formats = {
    jsonl: "jsonl",
    csv: "csv",
    tar: "webdataset",
    tfrecord: "tfrecord",
    parquet: "parquet",
    npz: "npz",
    npy: "npy",
  };
  const format =
    formats[name.slice(name.lastIndexOf(".") + 1)] ?? (name.endsWith("safetensors") ? "safetensors" : "idx");
  return ["--from", format];
}

/** Runs the command line and measures the most memory that it had. */
function run(args, { input, onPartial, signal } = {}) {
  const file = join(folder, "peak");
  rmSync(file, { force: true });
  const flags = args[0] === "head" ? [] : ["--progress", "none"];
  const child = spawn(process.execPath, ["--import", rssHook, main, ...args, ...flags], {
    env: { ...process.env, KDATA_PEAK_FILE: file },
  });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text) => (stderr += text));
  child.stdout.resume();
  child.stdin.on("error", () => undefined);
  child.stdin.end(input);
  const watch =
    onPartial &&
    setInterval(() => {
      if (!existsSync(onPartial) || !readdirSync(onPartial).some((name) => name.endsWith(".partial"))) return;
      clearInterval(watch);
      child.kill(signal);
    }, 2);
  return new Promise((resolve) => {
    child.on("close", (code) => {
      clearInterval(watch);
      const peak = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
      resolve({ code, stderr, peak });
    });
  });
}

function writeShards(directory, shards, records, size) {
  const random = new RandomStream(deriveKey(Number(values.seed), 3));
  const image = new Uint8Array(size);
  for (let at = 0; at < size; at++) image[at] = random.below(256);
  for (let shard = 0; shard < shards; shard++) {
    const writer = writableFormatByName("tfrecord").create(join(directory, `s-${String(shard).padStart(3, "0")}`));
    for (let record = 0; record < records; record++) {
      image[record % size] = record & 0xff;
      const features = {
        image: tensor("uint8", [size], image),
        label: tensor("int64", [], BigInt64Array.of(BigInt(record))),
      };
      writer.write({ key: `s/${shard}/${record}`, origin: { source: "s", record }, features });
    }
    writer.finish();
  }
}

/** A digest of the data in a directory, names included. */
function digest(directory) {
  const hash = createHash("sha256");
  for (const name of readdirSync(directory).sort()) {
    if (name.endsWith(".manifest.json") || name.endsWith(".partial")) continue;
    hash.update(name).update(readFileSync(join(directory, name)));
  }
  return hash.digest("hex");
}

function npyHeader(descr, shape) {
  const text = `{'descr': '${descr}', 'fortran_order': False, 'shape': ${shape}, }\n`;
  const head = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 2, 0, 0, 0, 0, 0]);
  head.writeUInt32LE(text.length, 8);
  return Buffer.concat([head, Buffer.from(text)]);
}

function npzOf(name, content) {
  const data = deflateRawSync(content);
  const fields = Buffer.alloc(26);
  fields.writeUInt16LE(20, 0);
  fields.writeUInt16LE(8, 4);
  fields.writeUInt32LE(crc32(content), 10);
  fields.writeUInt32LE(data.length, 14);
  fields.writeUInt32LE(content.length, 18);
  fields.writeUInt16LE(name.length, 22);
  const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), fields, Buffer.from(name), data]);
  const entry = Buffer.concat([
    Buffer.from("PK\x01\x02\x14\x00", "latin1"),
    fields,
    Buffer.alloc(14),
    Buffer.from(name),
  ]);
  const end = Buffer.alloc(22);
  end.write("PK\x05\x06", "latin1");
  end.writeUInt16LE(1, 8);
  end.writeUInt16LE(1, 10);
  end.writeUInt32LE(entry.length, 12);
  end.writeUInt32LE(local.length, 16);
  return Buffer.concat([local, entry, end]);
}

function tarOf(name, size, content) {
  const header = Buffer.alloc(512);
  header.write(name);
  header.write(size.toString(8).padStart(11, "0"), 124);
  header.write("        ", 148);
  header.write("0", 156);
  header.write(
    header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0"),
    148,
  );
  header[154] = 0;
  return Buffer.concat([header, content, Buffer.alloc(-content.length & 511)]);
}

function uint64(value) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function check(isRight, what) {
  if (isRight) return;
  failures++;
  console.error(`FAILED  ${what}`);
}

function report(name, line) {
  console.log(`${name.padEnd(10)} ${line}`);
}

function megabytes(bytes) {
  return `${Math.round(bytes / 2 ** 20)} MB`;
}
