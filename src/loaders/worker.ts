// The entry of a worker thread: makes the batches that it is first to claim, each in the slot that it is told.

import { parentPort, workerData, type MessagePort } from "node:worker_threads";
import { prepareTransforms } from "../transforms/prepare.ts";
import { BatchMaker } from "./batch-maker.ts";
import { claimTask } from "./claims.ts";
import { packError } from "../core/packed-error.ts";
import type { MakeBatch, WorkerAnswer, WorkerOrder, WorkerStart } from "./protocol.ts";
import { beat } from "./pulse.ts";

if (!parentPort) throw new TypeError("Cannot start: this file is the entry of a worker thread");
await serve(parentPort, workerData as WorkerStart);

async function serve(port: MessagePort, { recipe, worker, claims, pulse }: WorkerStart): Promise<void> {
  await prepareTransforms([...(recipe.mixture?.sources ?? []), recipe].flatMap(({ transforms }) => transforms));
  const maker = new BatchMaker(recipe, (record) => {
    beat(pulse, record);
  });
  /** By slot: the memory that this worker knows it to have. */
  const memories = new Map<number, SharedArrayBuffer>();
  port.on("message", (order: WorkerOrder) => {
    if (order.kind === "forget") {
      memories.delete(order.slot);
      return;
    }
    if (order.memory) memories.set(order.slot, order.memory);
    if (!claimTask(claims, order.slot, order.task, worker)) return;
    port.postMessage(answer(order, maker, memories));
  });
  beat(pulse, NaN);
}

function answer(
  { task, job, slot }: MakeBatch,
  maker: BatchMaker,
  memories: Map<number, SharedArrayBuffer>,
): WorkerAnswer {
  const told = memories.get(slot);
  function allocate(byteLength: number): SharedArrayBuffer {
    return told && told.byteLength >= byteLength ? told : new SharedArrayBuffer(byteLength);
  }
  try {
    const { memory, columns, keys, account, timings } = maker.make(job, allocate);
    memories.set(slot, memory);
    return { kind: "made", task, memory: memory === told ? undefined : memory, columns, keys, account, timings };
  } catch (error) {
    return { kind: "failed", task, error: packError(error) };
  }
}
