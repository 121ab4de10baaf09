// The entry of a worker thread: makes the batches it is told to make, in the order it is told, each in a slot of its own.

import { parentPort, workerData, type MessagePort } from "node:worker_threads";
import { BatchMaker } from "./batch-maker.ts";
import { packError } from "../core/packed-error.ts";
import type { MakeBatch, WorkerAnswer, WorkerStart } from "./protocol.ts";
import { createSlot } from "./slots.ts";

/** A slot, and the memory the main thread knows it to have. */
interface WorkerSlot {
  readonly allocate: (byteLength: number) => SharedArrayBuffer;
  known: ArrayBufferLike | undefined;
}

if (!parentPort) throw new TypeError("Cannot start: this file is the entry of a worker thread");
serve(parentPort, new BatchMaker(workerData as WorkerStart));

function serve(port: MessagePort, maker: BatchMaker): void {
  const slots = new Map<number, WorkerSlot>();
  port.on("message", (message: MakeBatch) => {
    const slot = slots.get(message.slot) ?? {
      allocate: createSlot((byteLength) => new SharedArrayBuffer(byteLength)),
      known: undefined,
    };
    slots.set(message.slot, slot);
    port.postMessage(answer(message, maker, slot));
  });
}

function answer({ task, job }: MakeBatch, maker: BatchMaker, slot: WorkerSlot): WorkerAnswer {
  try {
    const { memory, columns, keys, timings } = maker.make(job, slot.allocate);
    const isKnown = slot.known === memory;
    slot.known = memory;
    return { kind: "made", task, memory: isKnown ? undefined : memory, columns, keys, timings };
  } catch (error) {
    return { kind: "failed", task, error: packError(error) };
  }
}
