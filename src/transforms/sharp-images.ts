// WebP, GIF, TIFF, AVIF and what else sharp reads (https://sharp.pixelplumbing.com). Transforms are synchronous and sharp is not: a
// thread of its own decodes, and the one that asks sleeps until it has. So an order of samples cannot change, nothing but these
// images pays, and at any time as many threads work as there are workers.

import { MessageChannel, receiveMessageOnPort, Worker, type MessagePort } from "node:worker_threads";
import { KdataError } from "../core/errors.ts";
import type { PixelMemory } from "../kernels/pixels.ts";
import { finishImage, type DecodeSettings, type ImageDecoder, type RawPixels } from "./decoded-image.ts";
import { imagePackageFault } from "./image-packages.ts";
import type { SharpAnswer, SharpRequest, SharpStart } from "./sharp-protocol.ts";

/** The same place from src/transforms/ and from dist/transforms/. */
const ENTRY = new URL("../../dist/transforms/sharp-thread.js", import.meta.url);

const TIMEOUT_MS = 120_000; // no image takes that long

/** A thread that decodes, and the way to it. */
interface SharpThread {
  readonly worker: Worker;
  readonly port: MessagePort;
  readonly answers: Int32Array;
}

let thread: SharpThread | undefined;

/** What {@link sharpDecoder} can beside other decoders. */
interface SharpDecoder extends ImageDecoder {
  /** Gives pixels of sRGB with as many channels as the image has, or of CMYK. */
  decodePixels(bytes: Uint8Array, settings: DecodeSettings, memory: PixelMemory, colours: "rgb" | "cmyk"): RawPixels;
}

/** The decoder of everything that has none of its own. */
export const sharpDecoder: SharpDecoder = {
  detect: () => true,
  decode(bytes, settings, memory) {
    // The orientation is not needed here: sharp turns the image itself.
    return finishImage(
      sharpDecoder.decodePixels(bytes, settings, memory, "rgb"),
      { ...settings, orient: false },
      1,
      memory,
    );
  },
  decodePixels(bytes, settings, memory, colours) {
    const { pixels, orient } = settings;
    const answer = ask({ bytes: new Uint8Array(bytes), pixels, orient, colours });
    if (answer.kind === "missing") throw imagePackageFault("sharp", answer.cause);
    if (answer.kind === "failed") throw new KdataError(answer.code, answer.reason);
    const { data, width, height, channels } = answer;
    const start = memory.allocate(data.length);
    memory.bytes(start, data.length).set(data);
    return { start, width, height, channels };
  },
};

function ask(request: SharpRequest): SharpAnswer {
  const { worker, port, answers } = (thread ??= startThread());
  const before = Atomics.load(answers, 0);
  port.postMessage(request);
  Atomics.wait(answers, 0, before, TIMEOUT_MS);
  const received = receiveMessageOnPort(port) as { readonly message: SharpAnswer } | undefined;
  if (received) return received.message;
  thread = undefined;
  void worker.terminate();
  throw new KdataError("worker", `sharp has not answered within ${TIMEOUT_MS / 1000} s`);
}

function startThread(): SharpThread {
  const { port1, port2 } = new MessageChannel();
  const answers = new Int32Array(new SharedArrayBuffer(4));
  const start: SharpStart = { port: port2, answers };
  const worker = new Worker(ENTRY, { workerData: start, transferList: [port2], execArgv: [] });
  worker.unref();
  return { worker, port: port1, answers };
}
