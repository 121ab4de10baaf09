// npm run test:nodes [-- vitest's arguments]: the test suite on each Node that kdata supports; prints a table. The binaries are those
// of the npm package `node`, installed into the system's folder for temporary files, and nothing here is changed.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const VERSIONS = ["20", "22", "24"];
const root = fileURLToPath(new URL("..", import.meta.url));
const reports = mkdtempSync(join(tmpdir(), "kdata-nodes-"));
try {
  const results = VERSIONS.map(testOn);
  console.log("\n| Node | passed | failed | skipped | minutes |\n| --- | ---: | ---: | ---: | ---: |");
  for (const { node, passed, failed, skipped, minutes } of results) {
    console.log(`| ${node} | ${passed} | ${failed} | ${skipped} | ${minutes.toFixed(1)} |`);
  }
  if (results.some(({ failed }) => failed !== 0)) process.exitCode = 1;
} finally {
  rmSync(reports, { recursive: true });
}

function testOn(version) {
  const node = nodeBinary(version);
  const name = run(node, ["--version"]).stdout.trim().slice(1);
  process.stderr.write(`Node ${name}\n`);
  const outputFile = join(reports, `${version}.json`);
  const started = performance.now();
  const vitest = [join(root, "node_modules/vitest/vitest.mjs"), "run", ...process.argv.slice(2)];
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${outputFile}`];
  spawnSync(node, [...vitest, ...reporters], { cwd: root, stdio: "inherit" });
  const minutes = (performance.now() - started) / 60_000;
  if (!existsSync(outputFile)) return { node: name, passed: 0, failed: "no report", skipped: 0, minutes };
  const { numPassedTests, numFailedTests, numPendingTests, testResults } = JSON.parse(readFileSync(outputFile, "utf8"));
  // A file that cannot even be loaded has no tests of its own to fail.
  const broken = testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
  );
  return {
    node: name,
    passed: numPassedTests,
    failed: numFailedTests + broken.length,
    skipped: numPendingTests,
    minutes,
  };
}

/** Installs a Node where it is not there yet. */
function nodeBinary(version) {
  const folder = join(tmpdir(), `kdata-node-${version}`);
  const binary = join(folder, "node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node");
  if (existsSync(binary)) return binary;
  process.stderr.write(`Node ${version}: installing (npm)\n`);
  mkdirSync(folder, { recursive: true });
  run("npm", [
    "install",
    "--prefix",
    folder,
    "--no-audit",
    "--no-fund",
    "--no-save",
    "--loglevel=error",
    `node@${version}`,
  ]);
  return binary;
}

function run(command, args) {
  const result = spawnSync(command, args, {
    encoding: "utf8",
    shell: process.platform === "win32" && command === "npm",
  });
  if (result.status === 0) return result;
  process.stderr.write(`${[command, ...args].join(" ")} failed\n${result.stderr ?? ""}\n`);
  process.exit(1);
}
