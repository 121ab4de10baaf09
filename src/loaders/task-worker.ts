// The entry of a worker thread of a task pool: does the jobs it is given with the module it is told, one at a time.

import { parentPort, workerData } from "node:worker_threads";
import { packError } from "../core/packed-error.ts";
import type { TaskAnswer, TaskModule, TaskOrder, TaskStart } from "./task-protocol.ts";

if (!parentPort) throw new TypeError("Cannot start: this file is the entry of a worker thread");
const port = parentPort;
let isStopped = false;
const { module, setup } = workerData as TaskStart;
const tasks = (await import(module)) as TaskModule;
const work = tasks.startTasks(
  setup,
  (message) => {
    answer({ kind: "told", message });
  },
  () => isStopped,
);
port.on("message", (order: TaskOrder) => {
  if (order.kind === "stop") isStopped = true;
  else void run(order.job);
});

async function run(job: unknown): Promise<void> {
  try {
    await work(job);
    answer({ kind: "done" });
  } catch (error) {
    answer({ kind: "failed", error: packError(error) });
  }
}

function answer(message: TaskAnswer): void {
  port.postMessage(message);
}
