// Images of bytes in a kernel's memory. What is to be done with one is noted and done at once when its data is asked for: a crop is
// another view, and crop, resize, mirror, normalize and layout together are two passes over the pixels.

import type { Tensor } from "../core/tensor.ts";
import type { PixelMemory } from "../kernels/pixels.ts";
import type { Image, Rectangle } from "./image.ts";
import { computeTaps, type Sampling, type Taps } from "./resampling.ts";

/** Where the pixels of an image lie. */
interface Pixels {
  readonly start: number;
  /** From a row to the next one, in bytes. */
  readonly stride: number;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

/** What is still to be done with them. */
interface Pending {
  readonly resize?: { readonly width: number; readonly height: number; readonly sampling: Sampling };
  readonly isMirrored?: boolean;
  readonly isFlipped?: boolean;
  /** For each channel the floats that the 256 bytes become. */
  readonly floats?: Float32Array;
  readonly isPlanar?: boolean;
}

const WEIGHT_ONE = 1 << 14; // as in kernels/pixels.ts
const FLOATS_PER_TABLE = 256;

/** An image of bytes, or of the floats that it is normalized to. Valid as long as its memory is not taken back. */
export class ByteImage implements Image {
  readonly dtype: "uint8" | "float32";
  readonly shape: readonly number[];
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly #memory: PixelMemory;
  readonly #pixels: Pixels;
  readonly #pending: Pending;
  #data: Uint8Array | Float32Array | undefined;

  /** `rank` 2: a grey image whose shape does not tell the channel. */
  constructor(memory: PixelMemory, pixels: Pixels, rank = 3, pending: Pending = {}) {
    this.#memory = memory;
    this.#pixels = pixels;
    this.#pending = pending;
    this.width = pending.resize?.width ?? pixels.width;
    this.height = pending.resize?.height ?? pixels.height;
    this.channels = pixels.channels;
    this.dtype = pending.floats ? "float32" : "uint8";
    const size = [this.height, this.width];
    if (rank === 2) this.shape = size;
    else this.shape = pending.isPlanar ? [this.channels, ...size] : [...size, this.channels];
  }

  /** Copies a tensor into memory that is taken back for it. */
  static of({ shape, data }: Tensor<"uint8">, memory: PixelMemory): ByteImage {
    const [height = 0, width = 0, channels = 1] = shape;
    memory.begin();
    const start = memory.allocate(data.length);
    memory.bytes(start, data.length).set(data);
    return new ByteImage(memory, { start, stride: width * channels, width, height, channels }, shape.length);
  }

  /** It can be cropped, resized, mirrored, normalized: not when it is made floats or planes, which are tensors like others. */
  get isWorkable(): boolean {
    return !this.#pending.floats && !this.#pending.isPlanar;
  }

  /** It can be taken apart into planes. */
  get hasChannelsLast(): boolean {
    return !this.#pending.isPlanar && this.shape.length === 3;
  }

  get data(): Uint8Array | Float32Array {
    return (this.#data ??= this.#compute());
  }

  crop({ x, y, width, height }: Rectangle): ByteImage {
    const { resize, isMirrored, isFlipped } = this.#pending;
    if (resize || isMirrored || isFlipped) return this.copy().crop({ x, y, width, height });
    const { start, stride, channels } = this.#pixels;
    return this.#with({ ...this.#pixels, start: start + y * stride + x * channels, width, height }, {});
  }

  place(x: number, y: number, width: number, height: number): ByteImage {
    const stride = width * this.channels;
    const start = this.#memory.allocate(stride * height);
    this.#memory.bytes(start, stride * height).fill(0);
    this.#write(start + y * stride + x * this.channels, stride);
    return this.#with({ start, stride, width, height, channels: this.channels }, {});
  }

  resize(width: number, height: number, sampling: Sampling): ByteImage {
    if (width === this.width && height === this.height) return this;
    const { resize, isMirrored, isFlipped } = this.#pending;
    if (resize || isMirrored || isFlipped) return this.copy().resize(width, height, sampling);
    return this.#with(this.#pixels, { resize: { width, height, sampling } });
  }

  mirror(): ByteImage {
    return this.#with(this.#pixels, { ...this.#pending, isMirrored: !this.#pending.isMirrored });
  }

  flip(): ByteImage {
    return this.#with(this.#pixels, { ...this.#pending, isFlipped: !this.#pending.isFlipped });
  }

  /** Swaps rows and columns. */
  transpose(): ByteImage {
    const { width, height, channels } = this;
    const start = this.#memory.allocate(width * height * channels);
    const { start: from } = this.copy().#pixels;
    this.#memory.kernel.transposePixels(from, width, height, channels, start);
    return this.#with({ start, stride: height * channels, width: height, height: width, channels }, {});
  }

  /** Makes floats of the bytes; `floats` has 256 for each channel. */
  normalize(floats: Float32Array): ByteImage {
    return this.#with(this.#pixels, { ...this.#pending, floats });
  }

  /** Puts the channels first: [channels, height, width]. */
  toPlanes(): ByteImage {
    return this.#with(this.#pixels, { ...this.#pending, isPlanar: true });
  }

  /** Does what is to be done, into memory that only the result has. */
  copy(): ByteImage {
    const { width, height, channels } = this;
    const start = this.#memory.allocate(width * height * channels);
    this.#write(start, width * channels);
    return this.#with({ start, stride: width * channels, width, height, channels }, {});
  }

  /** Changes the pixels in place. Only of an image of {@link copy}. */
  edit(change: (memory: PixelMemory, start: number, pixels: number, channels: number) => void): this {
    change(this.#memory, this.#pixels.start, this.width * this.height, this.channels);
    return this;
  }

  #with(pixels: Pixels, pending: Pending): ByteImage {
    return new ByteImage(this.#memory, pixels, this.shape.length, pending);
  }

  #compute(): Uint8Array | Float32Array {
    const { floats, isPlanar, ...geometry } = this.#pending;
    const { stride, width, channels } = this.#pixels;
    const isTight = stride === width * channels;
    const isDone = !geometry.resize && !geometry.isMirrored && !geometry.isFlipped && (isTight || floats || isPlanar);
    const { start, stride: step } = isDone ? this.#pixels : this.#with(this.#pixels, geometry).copy().#pixels;
    const count = this.width * this.height * channels;
    if (floats) return this.#toFloats(floats, isPlanar === true, start, step, count);
    if (!isPlanar) return this.#memory.bytes(start, count);
    const target = this.#memory.allocate(count);
    this.#memory.kernel.toPlanes(start, step, this.width, this.height, channels, target);
    return this.#memory.bytes(target, count);
  }

  #toFloats(floats: Float32Array, isPlanar: boolean, start: number, stride: number, count: number): Float32Array {
    const memory = this.#memory;
    const tables = memory.allocate(this.channels * FLOATS_PER_TABLE * 4);
    const target = memory.allocate(count * 4);
    new Float32Array(memory.kernel.memory.buffer, tables, floats.length).set(floats);
    memory.kernel.lookUpFloats(start, stride, this.width, this.height, this.channels, tables, target, isPlanar);
    return new Float32Array(memory.kernel.memory.buffer, target, count);
  }

  /** Writes the image, with all that is to be done but floats and planes, into rows of memory. */
  #write(target: number, stride: number): void {
    const { resize, isMirrored = false, isFlipped = false } = this.#pending;
    const first = isFlipped ? target + (this.height - 1) * stride : target;
    const step = isFlipped ? -stride : stride;
    if (resize) {
      this.#resample(resize.sampling, isMirrored, first, step);
      return;
    }
    const { start, stride: from, width, height, channels } = this.#pixels;
    this.#memory.kernel.copyPixels(start, from, width, height, channels, first, step, isMirrored);
  }

  #resample(sampling: Sampling, isMirrored: boolean, target: number, step: number): void {
    const memory = this.#memory;
    const { start, stride, width, height, channels } = this.#pixels;
    const columns = computeTaps(width, this.width, sampling);
    const rows = computeTaps(height, this.height, sampling);
    const columnTable = allocateTaps(memory, columns);
    const rowTable = allocateTaps(memory, rows);
    // One row more than there are: an odd number of taps is made even.
    const between = memory.allocate((height + 1) * memory.kernel.rowPitch(this.width, channels));
    storeTaps(memory, columns, columnTable, channels, isMirrored);
    storeTaps(memory, rows, rowTable, 1, false);
    memory.kernel.resample(
      start,
      stride,
      height,
      channels,
      this.width,
      this.height,
      columnTable.starts,
      columnTable.weights,
      columns.count,
      rowTable.starts,
      rowTable.weights,
      rows.count,
      between,
      target,
      step,
    );
  }
}

interface TapTable {
  readonly starts: number;
  readonly weights: number;
}

function allocateTaps(memory: PixelMemory, { starts, weights }: Taps): TapTable {
  return { starts: memory.allocate(starts.length * 4), weights: memory.allocate(weights.length * 2) };
}

/** Writes taps as the kernel takes them: weights in whole numbers that add up exactly, whatever their number. */
function storeTaps(memory: PixelMemory, taps: Taps, table: TapTable, unit: number, isReversed: boolean): void {
  const { count } = taps;
  const places = taps.starts.length;
  const starts = new Int32Array(memory.kernel.memory.buffer, table.starts, places);
  const weights = new Int16Array(memory.kernel.memory.buffer, table.weights, places * count);
  for (let place = 0; place < places; place++) {
    const to = isReversed ? places - 1 - place : place;
    starts[to] = (taps.starts[place] as number) * unit;
    let exact = 0;
    let stored = 0;
    for (let tap = 0; tap < count; tap++) {
      exact += (taps.weights[place * count + tap] as number) * WEIGHT_ONE;
      const weight = Math.round(exact) - stored;
      weights[to * count + tap] = weight;
      stored += weight;
    }
  }
}
