// The peers in Python: a process that does one job after another, so that its imports are paid once.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("../peers/formats.py", import.meta.url));
/** Jobs with a process of their own: tfrecord and TensorFlow define the same messages, and one process cannot hold both. */
const APART = ["tfrecord"];

/** Makes the peers; `python` is the interpreter, or nothing where there is none. */
export function startPeers(python) {
  const started = new Map();
  return {
    /** Does a job and gives its seconds, those of the processor, and its count; `undefined` where its package is not installed or fails. */
    async run(job) {
      if (!python) return undefined;
      const name = APART.includes(job.job) ? job.job : "";
      if (!started.has(name)) started.set(name, startPeer(python));
      const answer = await started.get(name).ask(job);
      if (answer.failed !== undefined) console.error(`The peer failed at ${job.job}: ${answer.failed}`);
      return answer.seconds === undefined ? undefined : answer;
    },
    close() {
      for (const peer of started.values()) peer.close();
    },
  };
}

function startPeer(python) {
  const child = spawn(python, [SCRIPT], { stdio: ["pipe", "pipe", "ignore"] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let reason = "it stopped";
  child.on("error", (error) => (reason = error.message));
  child.stdin.on("error", (error) => (reason = error.message));
  return {
    async ask(job) {
      child.stdin.write(`${JSON.stringify(job)}\n`);
      const { value, done } = await lines.next();
      if (done) throw new Error(`Cannot measure ${job.job} with ${python}: ${reason}`);
      return JSON.parse(value);
    },
    close() {
      child.stdin.end();
    },
  };
}
