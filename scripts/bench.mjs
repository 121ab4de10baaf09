// npm run bench -- [formats|images|loader|trainer|convert|scaling ...] [--quick | --smoke] [--python PYTHON | --no-peers] [--only PART]
//
// Measures, writes bench/results/<area>.json for each area, and docs/benchmarks.md with its plots from all of them. --quick takes ten
// minutes for all. --smoke shows that everything runs: no peers, little data, nothing is written.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { benchEnvironment } from "../bench/harness.mjs";
import { writeBenchmarksPage } from "./bench-page.mjs";
import { figure, withGoals, withoutNulls } from "./bench-rows.mjs";
import { readFlags } from "./flags.mjs";
import { machine } from "./machine.mjs";
import { peerPython } from "./python.mjs";

const AREAS = ["formats", "images", "loader", "trainer", "convert", "scaling"];
/** What shows in seconds that an area runs. */
const SMOKE = { formats: { only: "smallExamples" }, loader: { isSmoke: true }, trainer: { isSmoke: true } };
/** Modules beside bench/<area>.mjs whose rows belong to the area, where they are there. */
const MORE = { loader: ["scale"], trainer: ["overlap"] };
/** What another area measures. */
const ELSEWHERE = { formats: { except: "conversion" } };
const ENVIRONMENT_SET = "KDATA_BENCH_ENVIRONMENT";

if (process.env[ENVIRONMENT_SET] === undefined) {
  const env = { ...benchEnvironment(), [ENVIRONMENT_SET]: "1" };
  const arguments_ = [fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  process.exit(spawnSync(process.execPath, arguments_, { stdio: "inherit", env }).status ?? 1);
}

const { values, positionals } = readFlags({
  allowPositionals: true,
  options: {
    quick: { type: "boolean", default: false },
    smoke: { type: "boolean", default: false },
    peers: { type: "boolean" },
    python: { type: "string" },
    only: { type: "string" },
  },
});
const unknown = positionals.find((name) => !AREAS.includes(name));
if (unknown !== undefined) {
  console.error(`There is no benchmark "${unknown}". Benchmarks are ${AREAS.join(", ")}.`);
  process.exit(2);
}
const python = values.smoke ? undefined : peerPython(values);
const command = ["npm run bench", ...(process.argv.length > 2 ? ["--", ...shown(process.argv.slice(2))] : [])].join(
  " ",
);
const areas = positionals.length > 0 ? positionals : values.smoke ? Object.keys(SMOKE) : AREAS;

console.log(`${command}\n${JSON.stringify(machine(python))}`);
for (const area of areas) {
  const started = performance.now();
  const at = machine(python);
  const options = { quick: values.quick || values.smoke, python, ...(values.only && { only: values.only }) };
  const measured = await measure(area, { ...ELSEWHERE[area], ...options, ...(values.smoke && SMOKE[area]) });
  const seconds = Math.round((performance.now() - started) / 1000);
  const rows = withoutNulls(Array.from(measured));
  const broken = rows.find(({ ours }) => !(ours > 0));
  if (broken) throw new Error(`${area}: "${broken.name}" gave ${broken.ours}`);
  print(area, rows, seconds);
  if (values.smoke || values.only) continue;
  const report = {
    schema: "kdata.bench/1",
    area,
    command,
    quick: values.quick,
    seconds,
    ...at,
    loadAverageAfter: machine().machine.loadAverage,
    rows,
    ...(measured.series && { series: measured.series }),
  };
  const path = fileURLToPath(new URL(`../bench/results/${area}.json`, import.meta.url));
  writeFileSync(path, `${JSON.stringify(report, null, 1)}\n`);
}
if (!values.smoke && !values.only) writeBenchmarksPage();

/** Rows of all modules of an area. Curves come with those of the area's own module. */
async function measure(area, options) {
  const { run } = await import(`../bench/${area}.mjs`);
  const measured = await run(options);
  for (const name of values.smoke ? [] : (MORE[area] ?? [])) {
    const path = new URL(`../bench/${name}.mjs`, import.meta.url);
    // A script that measures when it is imported has no rows to give.
    if (!existsSync(path) || !readFileSync(path, "utf8").includes("export async function run(")) continue;
    const more = await import(path.href);
    measured.push(...(await more.run(options)));
  }
  return measured;
}

function print(area, rows, seconds) {
  console.log(`\n${area}, ${seconds} s`);
  // Without peers and with little data nothing can be said of goals.
  for (const { name, ours, peer, unit, ratio, goal, verdict, why } of values.smoke ? rows : withGoals(area, rows)) {
    const rates =
      ours === undefined ? "" : `: ${figure(ours)}${peer === undefined ? "" : ` to ${figure(peer)}`} ${unit}`;
    const wanted = verdict === undefined ? "" : `goal ${goal} ${verdict}`;
    console.log(
      `${(ratio?.toFixed(2) ?? "-").padStart(8)}  ${wanted.padEnd(24)} ${name}${rates}${why ? ` (${why})` : ""}`,
    );
  }
}

/** Paths of a machine say nothing to others. */
function shown(options) {
  return options.map((option, i) => (options[i - 1] === "--python" ? "PYTHON" : option));
}
