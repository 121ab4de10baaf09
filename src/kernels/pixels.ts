// The loops over pixels of kernels/pixels.ts, and memory for the images that they work on.

import { KdataError } from "../core/errors.ts";
import { instantiateKernel, type KernelExports } from "./wasm.ts";

/** The functions of kernels/pixels.ts, which says what each of them does. Pointers are bytes of the kernel's memory. */
export interface PixelKernel extends KernelExports {
  resample(
    source: number,
    stride: number,
    height: number,
    channels: number,
    outWidth: number,
    outHeight: number,
    columnStarts: number,
    columnWeights: number,
    columnTaps: number,
    rowStarts: number,
    rowWeights: number,
    rowTaps: number,
    rows: number,
    target: number,
    targetStride: number,
  ): void;
  rowPitch(width: number, channels: number): number;
  copyPixels(
    source: number,
    stride: number,
    width: number,
    height: number,
    channels: number,
    target: number,
    targetStride: number,
    mirror: boolean,
  ): void;
  transposePixels(source: number, width: number, height: number, channels: number, target: number): void;
  lookUpFloats(
    source: number,
    stride: number,
    width: number,
    height: number,
    channels: number,
    tables: number,
    target: number,
    planar: boolean,
  ): void;
  toPlanes(source: number, stride: number, width: number, height: number, channels: number, target: number): void;
  convertChannels(source: number, pixels: number, from: number, target: number, to: number): void;
  sumOfGrey(source: number, pixels: number, channels: number): number;
  lookUpBytes(pixels: number, count: number, channels: number, colours: number, table: number): void;
  saturate(pixels: number, count: number, channels: number, factor: number): void;
  turnHue(pixels: number, count: number, channels: number, turn: number): void;
  unfilter(source: number, rowBytes: number, height: number, pixelBytes: number, target: number): number;
}

const PAGE_BYTES = 1 << 16;
const MAX_BYTES = 2 ** 31 - PAGE_BYTES; // pointers stay positive as signed 32-bit numbers
const ALIGNMENT = 64; // a cache line
const SLACK_BYTES = 64; // what kernels may load and nobody needs, behind every piece

/**
 * Memory of a kernel, handed out piece by piece and taken back all at once.
 *
 * A view of it stays valid until {@link begin}: where room runs out, another instance of the kernel goes on with a copy, and the
 * memory of the one before it is left to its views.
 */
export class PixelMemory {
  #kernel: PixelKernel | undefined;
  #top = 0;

  /** The kernel over this memory. Another one after each {@link allocate}. */
  get kernel(): PixelKernel {
    return (this.#kernel ??= instantiateKernel("pixels") as PixelKernel);
  }

  /** Takes all pieces back. */
  begin(): void {
    this.#top = this.kernel.heapBase();
  }

  /**
   * Hands out a piece whose content is arbitrary, and gives where it begins.
   *
   * @throws {KdataError} `limit` when there is no more room in a kernel's 2 GiB.
   */
  allocate(byteLength: number): number {
    if (this.#top === 0) this.begin();
    const start = Math.ceil(this.#top / ALIGNMENT) * ALIGNMENT;
    const end = start + byteLength + SLACK_BYTES;
    if (end > this.kernel.memory.buffer.byteLength) this.#kernel = this.#larger(end);
    this.#top = end;
    return start;
  }

  /** Views bytes of the memory. */
  bytes(start: number, byteLength: number): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.kernel.memory.buffer, start, byteLength);
  }

  #larger(needed: number): PixelKernel {
    if (needed > MAX_BYTES) {
      throw new KdataError("limit", `Cannot process image: ${needed} bytes are more than the ${MAX_BYTES} of a kernel`);
    }
    const before = this.kernel.memory.buffer;
    const kernel = instantiateKernel("pixels") as PixelKernel;
    const goal = Math.min(Math.max(needed, 2 * before.byteLength), MAX_BYTES);
    kernel.memory.grow(Math.ceil((goal - kernel.memory.buffer.byteLength) / PAGE_BYTES));
    new Uint8Array(kernel.memory.buffer).set(new Uint8Array(before, 0, this.#top));
    return kernel;
  }
}
