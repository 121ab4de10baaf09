// Runs a TypeScript example on every supported Node: kdata's own loader strips the types where Node cannot. What a module
// exports as `main` is called. What goes wrong is told as the command line tells it, with the same exit codes.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { KdataError } from "../dist/core/errors.js";
import { exitCodeOfError, exitCodes } from "../dist/cli/exit-codes.js";
import { importModule } from "../dist/cli/module.js";
import { formatError, formatUsageError } from "../dist/cli/report-error.js";

const [path] = process.argv.splice(2, 1);
const debugAt = process.argv.indexOf("--debug"); // of the runner, as the hints say; an example does not know it
if (debugAt > 0) process.argv.splice(debugAt, 1);
try {
  const { main } = await importModule(pathToFileURL(resolve(path)).href);
  await main?.();
} catch (error) {
  // An example that reads its flags while it is loaded has the parser's complaint as the cause.
  const complaint = [error, error?.cause].find((each) => String(each?.code).startsWith("ERR_PARSE_ARGS_"));
  if (complaint) {
    process.stderr.write(formatUsageError(complaint.message.split(". ")[0], false)); // what follows is advice on `--`
    process.exit(exitCodes.usage);
  }
  process.stderr.write(formatError(error, { coloured: false, debug: debugAt > 0 }));
  process.exit(error instanceof KdataError ? exitCodeOfError[error.code] : exitCodes.failure);
}
