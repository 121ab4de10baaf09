// The verbs of the command line. A new one is a file of its own and one line here. A verb's code loads only when it is asked for.

import type { CommandDefinition } from "./command.ts";

/** A verb: its name, what it does in a few words, and its code. */
export interface CommandEntry {
  readonly name: string;
  readonly summary: string;
  readonly load: () => Promise<CommandDefinition>;
}

/** Every verb, in the order of the help. */
export const commands: readonly CommandEntry[] = [
  {
    name: "convert",
    summary: "convert data sets into another storage format",
    load: async () => (await import("./convert.ts")).convertCommand,
  },
  {
    name: "inspect",
    summary: "show what is stored: format, records, features",
    load: async () => (await import("./inspect.ts")).inspectCommand,
  },
  {
    name: "head",
    summary: "print the first samples",
    load: async () => (await import("./head.ts")).headCommand,
  },
  {
    name: "validate",
    summary: "check every record, and say which are bad",
    load: async () => (await import("./validate.ts")).validateCommand,
  },
  {
    name: "index",
    summary: "keep an index of the records beside each shard",
    load: async () => (await import("./make-index.ts")).indexCommand,
  },
  {
    name: "stats",
    summary: "compute ranges, means, deviations, lengths",
    load: async () => (await import("./stats.ts")).statsCommand,
  },
  {
    name: "cat",
    summary: "write batches or samples to standard output",
    load: async () => (await import("./cat.ts")).catCommand,
  },
  {
    name: "bench",
    summary: "measure how fast a data set loads, and what bounds it",
    load: async () => (await import("./bench.ts")).benchCommand,
  },
  {
    name: "train",
    summary: "train the model of a module on any backend",
    load: async () => (await import("./train.ts")).trainCommand,
  },
  {
    name: "doctor",
    summary: "show what this machine can do: Node, checksums, backends",
    load: async () => (await import("./doctor.ts")).doctorCommand,
  },
];
