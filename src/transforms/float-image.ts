// Images of floats, worked on in memory of their own: the rare case, for images that were stored or normalized before.

import type { Tensor } from "../core/tensor.ts";
import type { Image, Rectangle } from "./image.ts";
import { computeTaps, type Sampling } from "./resampling.ts";

/** An image of float32. */
export class FloatImage implements Image {
  readonly dtype = "float32";
  readonly shape: readonly number[];
  readonly data: Float32Array;
  readonly width: number;
  readonly height: number;
  readonly #channels: number;

  /** Views a tensor [height, width, channels] or [height, width]. */
  constructor({ shape, data }: Tensor<"float32">) {
    const [height = 0, width = 0, channels = 1] = shape;
    this.shape = shape;
    this.data = data;
    this.width = width;
    this.height = height;
    this.#channels = channels;
  }

  crop({ x, y, width, height }: Rectangle): FloatImage {
    return this.#gather(width, height, (column, row) => [column + x, row + y]);
  }

  place(x: number, y: number, width: number, height: number): FloatImage {
    return this.#gather(width, height, (column, row) => [column - x, row - y]);
  }

  mirror(): FloatImage {
    return this.#gather(this.width, this.height, (column, row) => [this.width - 1 - column, row]);
  }

  flip(): FloatImage {
    return this.#gather(this.width, this.height, (column, row) => [column, this.height - 1 - row]);
  }

  resize(width: number, height: number, sampling: Sampling): FloatImage {
    const channels = this.#channels;
    const columns = computeTaps(this.width, width, sampling);
    const rows = computeTaps(this.height, height, sampling);
    const between = new Float64Array(this.height * width * channels);
    for (let i = 0; i < between.length; i++) {
      const x = Math.floor(i / channels) % width;
      const row = Math.floor(i / channels / width);
      let sum = 0;
      for (let tap = 0; tap < columns.count; tap++) {
        const weight = columns.weights[x * columns.count + tap] as number;
        if (weight === 0) continue; // the pixel may be beyond the row, or infinite
        const column = (columns.starts[x] as number) + tap;
        sum += weight * (this.data[(row * this.width + column) * channels + (i % channels)] as number);
      }
      between[i] = sum;
    }
    const data = new Float32Array(height * width * channels);
    const rowLength = width * channels;
    for (let i = 0; i < data.length; i++) {
      const y = Math.floor(i / rowLength);
      let sum = 0;
      for (let tap = 0; tap < rows.count; tap++) {
        const weight = rows.weights[y * rows.count + tap] as number;
        if (weight === 0) continue;
        sum += weight * (between[((rows.starts[y] as number) + tap) * rowLength + (i % rowLength)] as number);
      }
      data[i] = sum;
    }
    return this.#of(width, height, data);
  }

  /** Makes an image whose every pixel is one of this, or 0 where there is none. */
  #gather(width: number, height: number, from: (column: number, row: number) => [number, number]): FloatImage {
    const channels = this.#channels;
    const data = new Float32Array(width * height * channels);
    for (let row = 0; row < height; row++) {
      for (let column = 0; column < width; column++) {
        const [x, y] = from(column, row);
        if (x < 0 || y < 0 || x >= this.width || y >= this.height) continue;
        const start = (y * this.width + x) * channels;
        const target = (row * width + column) * channels;
        for (let channel = 0; channel < channels; channel++) {
          data[target + channel] = this.data[start + channel] as number;
        }
      }
    }
    return this.#of(width, height, data);
  }

  #of(width: number, height: number, data: Float32Array): FloatImage {
    return new FloatImage({ dtype: "float32", shape: [height, width, ...this.shape.slice(2)], data });
  }
}
