// Everything that must hold before a change lands, except the tests themselves: format, types, lint, import layers, dead exports.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const steps = [
  ["format", "prettier/bin/prettier.cjs", ["--check", "--log-level", "warn", "."]],
  ["types", "typescript/bin/tsc", ["--noEmit"]],
  ["lint", "eslint/bin/eslint.js", ["--max-warnings", "0", "."]],
  ["layers", "dependency-cruiser/bin/dependency-cruise.mjs", ["--config", ".dependency-cruiser.cjs", "src"]],
  ["dead exports", "knip/bin/knip.js", ["--no-progress"]],
];

let failed = 0;
for (const [name, script, args] of steps) {
  const start = performance.now();
  const result = spawnSync(process.execPath, [`${root}node_modules/${script}`, ...args], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, FORCE_COLOR: "0" },
  });
  const ok = result.status === 0;
  if (!ok) {
    failed++;
    process.stdout.write(`${result.stdout}${result.stderr}`);
  }
  process.stdout.write(`${ok ? "ok    " : "FAILED"} ${name} (${((performance.now() - start) / 1000).toFixed(1)} s)\n`);
}
process.exit(failed === 0 ? 0 : 1);
