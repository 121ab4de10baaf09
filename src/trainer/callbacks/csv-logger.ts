// One line of numbers an epoch, in a CSV file.

import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { KdataError } from "../../core/errors.ts";
import { checkOptionNames } from "../../core/options.ts";
import type { Callback } from "./callback.ts";

/** How the file is written. */
export interface CSVLoggerOptions {
  /** Default `,`. */
  readonly separator?: string;
  /** Keeps what the file has; a run that goes on from a checkpoint does so by itself. Default false: begins anew. */
  readonly append?: boolean;
}

/**
 * Writes `epoch` (from 0 on), the loss and the metrics of each epoch to a CSV file with a header.
 *
 * A run that goes on drops the lines of the epochs that it trains again.
 *
 * @throws {KdataError} `output` when the file cannot be written.
 */
export function csvLogger(filename: string, options: CSVLoggerOptions = {}): Callback {
  checkOptionNames("Cannot make csvLogger", options, ["separator", "append"]);
  const { separator = ",", append = false } = options;
  let names: readonly string[] | undefined;
  return {
    onTrainBegin({ firstEpoch, resumed }) {
      names = undefined;
      if (!(append || resumed) || !existsSync(filename)) return;
      const [header = "", ...rows] = readFileSync(filename, "utf8")
        .split("\n")
        .filter((line) => line !== "");
      const kept = resumed ? rows.filter((row) => Number(row.split(separator)[0]) < firstEpoch) : rows;
      if (header === "") return;
      names = header.split(separator).slice(1);
      write(filename, () => {
        writeFileSync(filename, [header, ...kept, ""].join("\n"));
      });
    },
    onEpochEnd({ epoch, values }) {
      function line(known: readonly string[]): string {
        return `${[epoch, ...known.map((name) => values[name] ?? "")].join(separator)}\n`;
      }
      write(filename, () => {
        if (names) {
          appendFileSync(filename, line(names));
          return;
        }
        names = Object.keys(values);
        writeFileSync(filename, `${["epoch", ...names].join(separator)}\n${line(names)}`);
      });
    },
  };
}

function write(path: string, action: () => void): void {
  try {
    action();
  } catch (error) {
    throw new KdataError("output", `Cannot write ${path}: ${(error as Error).message}`, { cause: error });
  }
}
