// One reader in a process of its own: asked for one file after the other, ended when it hangs or takes too much memory, started again.

import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const TIMEOUT_MS = 20_000; // a file takes milliseconds; importing TensorFlow on a loaded machine takes longer, but is asked for before
const START_TIMEOUT_MS = 180_000;
const WATCH_MS = 50;
const PAGE_BYTES = 4096;
const MIB = 2 ** 20;
/** What a file of some kilobytes may take on top of what the reader has: more is a blow-up. */
export const MEMORY_MIB = 512;

const SCRIPTS = {
  node: fileURLToPath(new URL("worker.mjs", import.meta.url)),
  python: fileURLToPath(new URL("../peers/faults.py", import.meta.url)),
};

/** Starts a reader when it is first asked. `python` is the interpreter for readers in Python. */
export class Reader {
  #child;
  #lines;
  #restMib = 0;
  #reason;

  constructor(name, language, python) {
    this.name = name;
    this.command = language === "python" ? python : process.execPath;
    this.script = SCRIPTS[language];
  }

  /** Reads an intact file: what it gives, or `undefined` where its package is not installed. */
  async warmUp(format, path) {
    const answer = await this.#ask(format, path, START_TIMEOUT_MS);
    if (answer?.missing !== undefined) return undefined;
    if (answer === undefined) throw new Error(`Cannot read ${path} with ${this.name}: ${this.#reason}`);
    this.#restMib = answer.peak;
    return answer.attempts;
  }

  /** Reads a file: `{ attempts }`, or `{ died }` with the reason. The intact file is read again after the process had to be started anew. */
  async read(format, path, intact) {
    if (this.#child === undefined) await this.warmUp(format, intact);
    const answer = await this.#ask(format, path, TIMEOUT_MS);
    if (answer === undefined) return { died: this.#reason };
    if (answer.peak - this.#restMib > MEMORY_MIB) {
      const died = `took ${Math.round(answer.peak - this.#restMib)} MiB`;
      this.close();
      return { died };
    }
    return answer;
  }

  close() {
    this.#child?.kill("SIGKILL");
    this.#child = undefined;
  }

  async #ask(format, path, timeoutMs) {
    this.#child ?? this.#start();
    this.#reason = "the process died";
    const child = this.#child;
    const started = performance.now();
    const watch = setInterval(() => {
      if (performance.now() - started > timeoutMs) this.#reason = `no end after ${timeoutMs / 1000} s`;
      else if (this.#restMib > 0 && residentMib(child.pid) > this.#restMib + 2 * MEMORY_MIB) {
        this.#reason = `took more than ${2 * MEMORY_MIB} MiB`;
      } else return;
      child.kill("SIGKILL");
    }, WATCH_MS);
    child.stdin.write(`${JSON.stringify({ reader: this.name, format, path })}\n`);
    const { value, done } = await this.#lines.next();
    clearInterval(watch);
    if (!done) return JSON.parse(value);
    this.close();
    return undefined;
  }

  #start() {
    this.#child = spawn(this.command, [this.script], { stdio: ["pipe", "pipe", "ignore"] });
    this.#child.on("error", (error) => (this.#reason = error.message));
    this.#child.stdin.on("error", (error) => (this.#reason = error.message));
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }
}

/** What a process has in memory; 0 where the system does not say. */
function residentMib(pid) {
  const path = `/proc/${pid}/statm`;
  return existsSync(path) ? (Number(readFileSync(path, "latin1").split(" ")[1]) * PAGE_BYTES) / MIB : 0;
}
