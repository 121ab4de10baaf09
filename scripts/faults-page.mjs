// docs/faults.md from the JSON of `npm run faults`: every number on the page comes from there.

import { outcomes } from "../bench/faults/outcome.mjs";

const titles = {
  identical: "the same data",
  placed: "error with place",
  vague: "vague error",
  silent: "silently wrong",
  crash: "crash, hang, memory",
};
const formatTitles = {
  tfrecord: "TFRecord",
  webdataset: "WebDataset tar",
  npy: "NPY",
  npz: "NPZ",
  parquet: "Parquet",
  jsonl: "JSON Lines",
};
const HEAD = ["reader", "damaged forms", ...outcomes.map((name) => titles[name])];

/** Writes the page. */
export function faultsPage({ date, machine, versions, command, results }) {
  const shown = results.filter(({ isVouched }) => isVouched);
  const hidden = results.filter(({ isVouched }) => !isVouched);
  const formats = [...new Set(results.map(({ format }) => format))];
  return `${[
    "# Damaged files",
    "",
    "What readers make of files that are damaged. The same files go through kdata and through the tools that people use now; each answer is",
    "compared with what the same reader gives for the intact file. This page is written by `npm run faults`; do not edit it.",
    "",
    ...outcomeList(),
    "",
    "## Damage that the file shows",
    "",
    "Bytes that a checksum covers, or that must agree with others: headers, lengths, framing, the end.",
    "",
    ...table(HEAD, totals(shown)),
    "",
    ...sentence(shown),
    "",
    "## Damage that the file cannot show",
    "",
    "Some bytes nothing in the file vouches for: the elements of an NPY, the content of a tar's members, the text in JSON Lines, Parquet pages that were",
    "written without checksums; and a cut between two records of TFRecord or JSON Lines leaves a shorter file that is whole. No reader can",
    "tell from such a file alone. `kdata index` keeps a checksum of each record beside the file, and readers that are given one by number",
    "hold the record to it.",
    "",
    ...table(HEAD, totals(hidden)),
    "",
    "Silently wrong of these, by format:",
    "",
    ...hiddenByFormat(formats, hidden),
    "",
    "Arrays and Parquet have no index, since their rows are found without one. What wants to be safe against bits that flip is better kept as",
    "TFRecord or as NPZ, where a checksum covers everything.",
    "",
    "## By format and kind of damage",
    "",
    "Silently wrong, and crashes, of all damaged forms that the file shows: `silent + crashed / forms`.",
    ...formats.flatMap((format) =>
      ofFormat(
        format,
        shown.filter((result) => result.format === format),
      ),
    ),
    "",
    "## What it looks like",
    "",
    ...examplesOf(shown),
    "",
    "## How it was measured",
    "",
    `\`${command}\` on ${date.slice(0, 10)}: Node ${versions.node}, ${machine.platform}. Everything that is drawn is drawn by a seed, so the damaged forms are the same on every`,
    "machine. The files are small ones that the reference tools wrote (`fixtures/`). Every reader has its default options and runs in a process of its",
    "own with 20 seconds and 512 MiB for a file of some kilobytes. webdataset and tfrecord have no option that would check more; tarfile",
    "is not asked about keys, which are nothing to it. An error counts as one also where samples were given before it. kdata is asked in two ways,",
    "in order and by number, and judged by the worse.",
    "",
    `Versions: ${Object.entries(versions)
      .filter(
        ([name]) =>
          !["node", "keras", "jax"].includes(name) && (["python", "hyparquet"].includes(name) || isPeer(name)),
      )
      .map(([name, version]) => `${name} ${version}`)
      .join(", ")}.`,
  ].join("\n")}\n`;
}

function isPeer(name) {
  return ["tensorflow-cpu", "torch", "webdataset", "tfrecord", "numpy", "pyarrow"].includes(name);
}

function outcomeList() {
  return [
    `- **${titles.identical}**: all samples as they were, and no others (damage to padding, say)`,
    `- **${titles.placed}**: an error of its own kind that names a byte, a record or a member`,
    `- **${titles.vague}**: any other error, a failed assertion or a \`TypeError\` from inside the reader included`,
    `- **${titles.silent}**: no error, and fewer, more or other samples`,
    `- **${titles.crash}**: the process died, did not end in 20 seconds, or took more than 512 MiB`,
  ];
}

function totals(results) {
  const byReader = new Map();
  for (const { reader, counts } of results) {
    const total = byReader.get(reader) ?? Object.fromEntries(outcomes.map((name) => [name, 0]));
    for (const name of outcomes) total[name] += counts[name];
    byReader.set(reader, total);
  }
  return [...byReader].map(([reader, counts]) => {
    const bold = reader.startsWith("kdata") ? `**${reader}**` : reader;
    return [bold, sumOf(counts), ...outcomes.map((name) => counts[name])];
  });
}

function sentence(results) {
  const bad = (test) => {
    const of = results.filter(({ reader }) => test(reader));
    return [
      of.reduce((sum, { counts }) => sum + counts.silent, 0),
      of.reduce((sum, { counts }) => sum + counts.crash, 0),
    ];
  };
  const [silent, crashed] = bad((reader) => reader.startsWith("kdata"));
  const [silentPeers, crashedPeers] = bad((reader) => !reader.startsWith("kdata"));
  return [
    `kdata: ${silent} silently wrong, ${crashed} crashed. The others together: ${silentPeers} silently wrong, ${crashedPeers} crashed.`,
  ];
}

function ofFormat(format, results) {
  const readers = [...new Set(results.map(({ reader }) => reader))];
  const kinds = [...new Set(results.map(({ kind }) => kind))];
  const rows = kinds.map((kind) => [
    kind,
    ...readers.map((reader) => {
      const of = results.filter((result) => result.kind === kind && result.reader === reader);
      if (of.length === 0) return "–";
      const count = (name) => of.reduce((sum, { counts }) => sum + counts[name], 0);
      const forms = of.reduce((sum, { counts }) => sum + sumOf(counts), 0);
      const crashed = count("crash") > 0 ? ` + ${count("crash")}` : "";
      return `${count("silent")}${crashed} / ${forms}`;
    }),
  ]);
  const files = [...new Set(results.map(({ path }) => `\`${path}\``))].join(", ");
  return ["", `### ${formatTitles[format] ?? format}`, "", files, "", ...table(["", ...readers], rows)];
}

function hiddenByFormat(formats, results) {
  const silent = (format, reader) => {
    const of = results.filter((result) => result.format === format && result.reader === reader);
    if (of.length === 0) return undefined;
    const forms = of.reduce((sum, { counts }) => sum + sumOf(counts), 0);
    return `${of.reduce((sum, { counts }) => sum + counts.silent, 0)} / ${forms}`;
  };
  const own = ["kdata", "kdata, with an index"];
  const rows = formats.map((format) => {
    const readers = results.filter((result) => result.format === format).map(({ reader }) => reader);
    const peers = [...new Set(readers)].filter((reader) => !own.includes(reader));
    const others = peers.map((reader) => `${reader} ${silent(format, reader)}`).join("; ");
    return [formatTitles[format] ?? format, ...own.map((reader) => silent(format, reader) ?? "no index"), others];
  });
  // A format whose every byte is vouched for has no such damage.
  return table(
    ["", ...own, "others"],
    rows.map((row) => (row[1] === "no index" ? [row[0], "–", "–", "–"] : row)),
  );
}

/** The first bad one of each reader and kind. */
function examplesOf(results) {
  const seen = new Set();
  const lines = [];
  for (const { reader, path, kind, examples } of results) {
    const [example] = examples;
    if (!example || seen.has(`${reader} ${kind}`)) continue;
    seen.add(`${reader} ${kind}`);
    lines.push([
      reader,
      `\`${path}\``,
      example.what,
      example.outcome === "crash" ? example.detail : `${example.detail}, no error`,
    ]);
  }
  return table(["reader", "file", "damage", "what came of it"], lines);
}

function sumOf(counts) {
  return outcomes.reduce((sum, name) => sum + counts[name], 0);
}

function table(head, rows) {
  const line = (cells) =>
    `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|").replaceAll("\n", " ")).join(" | ")} |`;
  const numbers = head.map((_, i) => rows.length > 0 && rows.every((row) => /^[\d.–]/.test(String(row[i]))));
  return [line(head), `| ${numbers.map((isNumber) => (isNumber ? "---:" : "---")).join(" | ")} |`, ...rows.map(line)];
}
