// Names what failed in vitest's JSON reports and prints "N passed, N failed[, N skipped]" as the last line. Fails when anything failed or no test ran.
import { existsSync, readFileSync } from "node:fs";

let passed = 0;
let failed = 0;
let skipped = 0;
for (const path of process.argv.slice(2)) {
  if (!existsSync(path)) {
    process.stdout.write(`no report: ${path}\n`);
    failed++;
    continue;
  }
  const report = JSON.parse(readFileSync(path, "utf8"));
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  skipped += report.numPendingTests;
  // A file that cannot even be loaded has no tests of its own to fail.
  const brokenFiles = report.testResults.filter(
    (file) => file.status === "failed" && file.assertionResults.length === 0,
  );
  failed += brokenFiles.length;
  for (const { name, message } of brokenFiles) process.stdout.write(`failed: ${name}: ${message}\n`);
  for (const { name, assertionResults } of report.testResults)
    for (const test of assertionResults.filter(({ status }) => status === "failed"))
      process.stdout.write(`failed: ${name}: ${test.fullName}: ${(test.failureMessages[0] ?? "").slice(0, 1000)}\n`);
}
process.stdout.write(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`);
process.exit(failed === 0 && passed > 0 ? 0 : 1);
