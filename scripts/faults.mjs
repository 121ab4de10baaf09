// npm run faults -- [--short] [--python PYTHON | --no-peers] [--output FILE]: the same damaged files through kdata and through the
// tools that people use now. Writes bench/results/faults.json and, from it, docs/faults.md.
//
// The files are fixtures, written by the reference tools. --short draws few of the damages, prints the table and writes nothing but FILE.
import { copyFileSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { indexShards } from "kdata";
import { formatByName } from "kdata/readers";
import { damagedForms } from "../bench/faults/damage.mjs";
import { outcomeOf, outcomes } from "../bench/faults/outcome.mjs";
import { Reader } from "../bench/faults/reader.mjs";
import { importModule } from "../dist/cli/module.js";
import { readFlags } from "./flags.mjs";
import { machine } from "./machine.mjs";
import { faultsPage } from "./faults-page.mjs";
import { peerPython } from "./python.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const FLIPS = 240;
const SHORT_FLIPS = 16;
/** Files have this time of modification before and after they are damaged: a bit that flips on a disk changes none. */
const MODIFIED = new Date("2026-01-01T00:00:00Z");
const EXAMPLES = 3;

const ofKdata = [{ name: "kdata", language: "node" }];
const withIndex = { name: "kdata, with an index", language: "node" };
const python = (...names) => names.map((name) => ({ name, language: "python" }));
const files = [
  { path: "tfrecord/rows.tfrecord", readers: [...ofKdata, withIndex, ...python("tf.data", "tfrecord")] },
  { path: "webdataset/writer.tar", readers: [...ofKdata, withIndex, ...python("webdataset", "tarfile")] },
  { path: "webdataset/pax.tar", readers: [...ofKdata, withIndex, ...python("webdataset", "tarfile")] },
  { path: "npy/little-endian/all.f4.npy", readers: [...ofKdata, ...python("numpy", "torch DataLoader over numpy")] },
  { path: "npy/versions/of.v1.npy", readers: [...ofKdata, ...python("numpy", "torch DataLoader over numpy")] },
  { path: "npz/stored.npz", readers: [...ofKdata, ...python("numpy")] },
  { path: "npz/deflated.npz", readers: [...ofKdata, ...python("numpy")] },
  ...["pages", "rows-none"].map((name) => ({
    path: `parquet/${name}.parquet`,
    readers: [...ofKdata, ...python("pyarrow", "pyarrow, checksums on"), { name: "hyparquet", language: "node" }],
  })),
  { path: "jsonl/ascii.jsonl", readers: [...ofKdata, withIndex, ...python("Python's json")] },
];

const { values } = readFlags({
  options: {
    short: { type: "boolean", default: false },
    python: { type: "string" },
    peers: { type: "boolean" },
    output: { type: "string" },
  },
});
const interpreter = peerPython(values);
const { byteRole } = await importModule(pathToFileURL(join(root, "test/conformance/byte-role.ts")).href);
const folder = mkdtempSync(join(tmpdir(), "kdata-faults-"));
const opened = new Map();
try {
  const results = [];
  for (const file of files) results.push(...(await readDamaged(file)));
  const report = { schema: "kdata.faults/1", ...machine(interpreter), command: "npm run faults", results };
  const text = `${JSON.stringify(report, null, 1)}\n`;
  if (values.output) writeFileSync(values.output, text);
  else if (!values.short) {
    writeFileSync(join(root, "bench/results/faults.json"), text);
    writeFileSync(join(root, "docs/faults.md"), faultsPage(report));
  }
  print(results);
} finally {
  for (const reader of opened.values()) reader.close();
  rmSync(folder, { recursive: true });
}

/** Gives a result for each reader, kind of damage, and whether the file vouches for what was damaged. */
async function readDamaged({ path, readers }) {
  const format = path.slice(0, path.indexOf("/"));
  const name = basename(path);
  const intact = join(folder, name);
  copyFileSync(join(root, "fixtures", path), intact);
  utimesSync(intact, MODIFIED, MODIFIED);
  if (readers.includes(withIndex)) await indexShards(intact, { from: format });
  const bytes = readFileSync(intact);
  // Readers of Python map files into memory, which must not change under them.
  const pristine = join(folder, `intact-${name}`);
  copyFileSync(intact, pristine);
  const asked = [];
  for (const each of readers) {
    const reader = openReader(each);
    const wanted = reader && (await reader.warmUp(format, intact));
    if (wanted === undefined) continue;
    const failed = wanted.find(({ error }) => error);
    if (failed) process.stderr.write(`${each.name} cannot read ${path} as it is: ${failed.error.message}\n`);
    else asked.push({ reader, wanted: wanted[0].digests });
  }
  const roleOf = byteRole(formatByName(format), bytes);
  const forms = damagedForms({ name: path, format, bytes, roleOf }, values.short ? SHORT_FLIPS : FLIPS);
  const results = new Map();
  for (const form of forms) {
    rmSync(intact);
    writeFileSync(intact, form.bytes);
    utimesSync(intact, MODIFIED, MODIFIED);
    const answers = asked.map(({ reader }) => reader.read(format, intact, pristine));
    for (const [i, answer] of (await Promise.all(answers)).entries()) {
      const { reader, wanted } = asked[i];
      // Only kdata and webdataset look at which members are a sample.
      if (form.kind === "keys" && reader.name === "tarfile") continue;
      enter(results, { format, path, reader: reader.name }, form, outcomeOf(answer, wanted, form));
    }
  }
  process.stderr.write(
    `${path}: ${forms.length} damaged forms through ${asked.map(({ reader }) => reader.name).join(", ")}\n`,
  );
  return [...results.values()];
}

function openReader({ name, language }) {
  if (language === "python" && interpreter === undefined) return undefined;
  if (!opened.has(name)) opened.set(name, new Reader(name, language, interpreter));
  return opened.get(name);
}

function enter(results, of, { kind, what, isVouched }, { outcome, detail }) {
  const key = `${of.reader}\n${kind}\n${isVouched}`;
  if (!results.has(key)) {
    const counts = Object.fromEntries(outcomes.map((name) => [name, 0]));
    results.set(key, { ...of, kind, isVouched, counts, examples: [] });
  }
  const { counts, examples } = results.get(key);
  counts[outcome]++;
  if (!["silent", "crash"].includes(outcome)) return;
  if (examples.length < EXAMPLES || (of.reader.startsWith("kdata") && isVouched))
    examples.push({ what, outcome, detail });
}

function print(results) {
  const totals = new Map();
  for (const { format, reader, isVouched, counts } of results) {
    const key = `${format.padEnd(11)} ${isVouched ? "shows  " : "hidden "} ${reader}`;
    const total = totals.get(key) ?? Object.fromEntries(outcomes.map((name) => [name, 0]));
    for (const name of outcomes) total[name] += counts[name];
    totals.set(key, total);
  }
  console.log(`${" ".repeat(48)}${outcomes.map((name) => name.padStart(10)).join("")}`);
  for (const [key, total] of totals) {
    console.log(`${key.padEnd(48)}${outcomes.map((name) => String(total[name]).padStart(10)).join("")}`);
  }
  for (const { path, reader, isVouched, examples } of results) {
    if (!reader.startsWith("kdata") || !isVouched) continue;
    for (const { what, outcome, detail } of examples) {
      console.log(`${reader}: ${path}, ${what}: ${outcome}, ${detail}`);
      process.exitCode = 1;
    }
  }
}
