// docs/benchmarks.md and its plots from bench/results/*.json: every number on the page comes from there. Run alone, it writes them anew.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { goals } from "../bench/goals.mjs";
import { figure, withGoals, withoutNulls } from "./bench-rows.mjs";
import { barPlot, curvePlot } from "./plot.mjs";

const titles = {
  formats: "Formats",
  convert: "Converting",
  images: "Images",
  loader: "Loader",
  trainer: "Trainer",
};
const root = fileURLToPath(new URL("..", import.meta.url));

/** Writes the page and its plots. */
export function writeBenchmarksPage() {
  const areas = Object.keys(titles).map((area) => {
    const report = read(area);
    return { area, report, rows: withGoals(area, withoutNulls(report?.rows ?? [])) };
  });
  const scaling = read("scaling");
  const held = areas.flatMap(({ rows }) => rows.filter(({ goal }) => goal !== undefined));
  writeFileSync(`${root}docs/benchmarks.svg`, barPlot(held));
  if (scaling) writeFileSync(`${root}docs/scaling.svg`, curvePlot(scaling.series));
  const count = (verdict) => held.filter((row) => row.verdict === verdict).length;
  const page = [
    "# Benchmarks",
    "",
    "Against the tools that people use now, part by part on one machine. This page is written by `npm run bench`, which measures everything and keeps what it",
    "measured in `bench/results/`; do not edit it. `npm run bench -- --quick` takes about ten minutes, `npm run bench -- loader` one part.",
    "",
    `Goals: ${goals.length}. Met: ${count("met")}, not met: ${count("not met")}, not measured yet: ${count("not measured")}.`,
    "",
    "![How much of each goal is reached](benchmarks.svg)",
    "",
    "A ratio is so that more is better: our rate over the peer's, the peer's time over ours. Ours and the peer take turns, so that what else the machine",
    "does falls on both; figures are medians, and ± is how far the middle half of the measurements lies apart. The floor is what nothing could",
    "beat: reading the bytes alone, decoding alone, the matrix products alone. Peers run at their best: two threads, no variables that pin old",
    "kernels, memory kept between steps.",
    "",
    ...(areas.some(({ report }) => report?.quick)
      ? [
          "**These are figures of a quick run** (which parts, it says below), and they settle no goal. What starts once, such as a thread, or a file that is",
          "opened, weighs much on little data, and there are few rounds: a verdict can turn from one quick run to the next, in both directions. Why a goal is",
          "missed is worth asking of a full run on a machine with nothing else to do.",
          "",
        ]
      : []),
    ...areas.flatMap(ofArea),
    ...(scaling ? scalingSection(scaling) : []),
    "## Versions",
    "",
    ...versionsOf([...areas.map(({ report }) => report), scaling].filter((report) => report !== undefined)),
  ];
  writeFileSync(`${root}docs/benchmarks.md`, `${page.join("\n").trimEnd()}\n`);
}

function read(area) {
  const path = `${root}bench/results/${area}.json`;
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
}

function ofArea({ area, report, rows }) {
  const lines = rows.map(({ name, ours, peer, unit, ratio, goal, verdict, spread, peerSpread, raw, floor }) => [
    name,
    ratio === undefined ? "–" : ratio.toFixed(2),
    goal ?? "–",
    verdict === "not met" ? "**not met**" : (verdict ?? "–"),
    `${figure(ours)}${plusMinus(spread)}`,
    `${figure(peer)}${plusMinus(peerSpread)}`,
    figure(raw ?? (area === "images" ? floor : undefined)),
    unit ?? "",
  ]);
  return [
    `## ${titles[area]}`,
    "",
    ...table(["", "ratio", "goal", "met", "ours", "peer", "floor", "unit"], lines),
    "",
    ...reasons(rows),
    ...(report ? [whereFrom(report), ""] : []),
  ];
}

/** Why goals are missed, or not measured. */
function reasons(rows) {
  const known = rows.filter(({ why }) => why).map(({ name, verdict, why }) => `- ${name}, ${verdict}: ${why}.`);
  return known.length > 0 ? [...known, ""] : [];
}

function whereFrom({ command, date, machine, quick, loadAverageAfter }) {
  const loads = [machine.loadAverage[0], loadAverageAfter[0]];
  const isBusy = Math.max(...loads) > 1.5 * machine.cores;
  const busy = isBusy ? " (others were using the machine: trust ratios only roughly)" : "";
  const load = `load average ${loads[0]} before and ${loads[1]} after on ${machine.cores} cores${busy}`;
  return `\`${command}\`, ${date.slice(0, 10)}, ${machine.cpu}, ${load}${quick ? "; quick, so few rounds on little data" : ""}.`;
}

/** What was measured with other versions is named apart. */
function versionsOf(reports) {
  const areasOf = new Map();
  for (const { area, versions } of reports) {
    const { node, python, ...others } = versions;
    const packages = Object.entries(others).map(([name, version]) => `${name} ${version}`);
    const text = `Node ${node}${python ? `, Python ${python}` : ", no peers in Python"}; ${packages.join(", ")}.`;
    areasOf.set(text, [...(areasOf.get(text) ?? []), area]);
  }
  return [...areasOf].map(([text, areas]) => (areasOf.size === 1 ? text : `- ${areas.join(", ")}: ${text}`));
}

function scalingSection(report) {
  const lines = report.series.map(({ name, x, unit, points, bend, why }) => [
    name,
    points.map((point) => `${figure(point.x)}: ${figure(point.y)}`).join(", "),
    unit,
    `${figure(bend)} ${x}: ${why}`,
  ]);
  return [
    "## Scaling",
    "",
    "![Throughput over workers, size of records and size of the data set](scaling.svg)",
    "",
    "The dashed line is where a curve first reaches nine tenths of its best value.",
    "",
    ...table(["", "points", "unit", "flat from"], lines),
    "",
    whereFrom(report),
    "",
  ];
}

function plusMinus(part) {
  return part === undefined ? "" : ` ± ${Math.round(part * 50)} %`;
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  const numbers = head.map((title) => ["ratio", "goal", "ours", "peer", "floor"].includes(title));
  return [line(head), `| ${numbers.map((isNumber) => (isNumber ? "---:" : "---")).join(" | ")} |`, ...rows.map(line)];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeBenchmarksPage();
