// The flags of a script: one that is not known is one line and exit code 2, not a stack.
import { parseArgs } from "node:util";

/** Parses the arguments as `parseArgs` does. */
export function readFlags(config) {
  try {
    return parseArgs({ allowNegative: true, ...config });
  } catch (error) {
    const known = Object.keys(config.options).map((name) => `--${name}`);
    process.stderr.write(`${error.message.split(". ")[0]} (known: ${known.join(", ")})\n`);
    process.exit(2);
  }
}
