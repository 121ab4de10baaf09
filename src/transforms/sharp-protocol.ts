// Every message between a thread that transforms and the one that decodes for it by sharp.

import type { MessagePort } from "node:worker_threads";
import type { ErrorCode } from "../core/errors.ts";

/** What the thread starts with: where requests come from, and what to count up and notify at each answer. */
export interface SharpStart {
  readonly port: MessagePort;
  readonly answers: Int32Array;
}

/** One image to decode. */
export interface SharpRequest {
  readonly bytes: Uint8Array;
  /** More pixels than that are refused. */
  readonly pixels: number;
  readonly orient: boolean;
  readonly colours: "rgb" | "cmyk";
}

/** What became of it. */
export type SharpAnswer =
  | {
      readonly kind: "decoded";
      readonly data: Uint8Array;
      readonly width: number;
      readonly height: number;
      readonly channels: number;
    }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly reason: string }
  /** The package is not there or does not load. */
  | { readonly kind: "missing"; readonly cause: unknown };
