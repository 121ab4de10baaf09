// The entry of the thread that decodes by sharp: one image after the other.

import { workerData } from "node:worker_threads";
import { KdataError } from "../core/errors.ts";
import { checkPixels } from "./decoded-image.ts";
import { requireImagePackage } from "./image-packages.ts";
import type { SharpAnswer, SharpRequest, SharpStart } from "./sharp-protocol.ts";

type Sharp = (typeof import("sharp"))["default"];

const { port, answers } = workerData as SharpStart;
let sharp: Sharp | undefined;

port.on("message", (request: SharpRequest) => {
  void decode(request)
    .catch(failure)
    .then((answer) => {
      port.postMessage(answer);
      Atomics.add(answers, 0, 1);
      Atomics.notify(answers, 0);
    });
});

async function decode({ bytes, pixels, orient, colours }: SharpRequest): Promise<SharpAnswer> {
  sharp ??= loadSharp();
  const settings = { limitInputPixels: pixels, ignoreIcc: true };
  const { width, height } = await sharp(bytes, { ...settings, limitInputPixels: false }).metadata();
  checkPixels(width, height, pixels);
  let image = sharp(bytes, settings);
  if (orient) image = image.autoOrient();
  if (colours === "cmyk") image = image.pipelineColourspace("cmyk").toColourspace("cmyk");
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  return { kind: "decoded", data, width: info.width, height: info.height, channels: info.channels };
}

/** One core and no cache for each thread: the images are all different, and there are as many threads as cores. */
function loadSharp(): Sharp {
  const loaded = requireImagePackage("sharp") as Sharp;
  loaded.concurrency(1);
  loaded.cache(false);
  return loaded;
}

function failure(error: unknown): SharpAnswer {
  if (error instanceof KdataError) {
    if (error.code === "package") return { kind: "missing", cause: error.cause };
    return { kind: "failed", code: error.code, reason: error.reason };
  }
  const reason = error instanceof Error ? (error.message.split("\n")[0] ?? "") : String(error);
  if (/unsupported image format/i.test(reason)) {
    return { kind: "failed", code: "unsupported", reason: "it is no image of a kind that is known here" };
  }
  if (/pixel limit/i.test(reason)) return { kind: "failed", code: "limit", reason: "its pixels exceed the limit" };
  const isCut = /truncated|premature|unexpected end|end of (file|stream)|not enough|unable to read/i.test(reason);
  return { kind: "failed", code: isCut ? "truncated" : "format", reason: `the image is corrupt: ${reason}` };
}
