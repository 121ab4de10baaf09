// Dropout as a layer.

import { checkOptionNames } from "../../core/options.ts";
import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { formatShape, formatSpec } from "../primitives.ts";
import { broadcastShapes } from "../shapes.ts";
import { Layer, type LayerOptions, layerOptionNames } from "./layer.ts";

/** Settings of {@link dropout}. */
export interface DropoutOptions extends LayerOptions {
  /** The shape of what is drawn for a sample, without the batch; along axes of size 1 elements fall out together. Default: the sample's own. */
  readonly noiseShape?: readonly number[];
}

/**
 * Makes a layer that sets elements to 0 with probability `rate` in each training step and divides the others by `1 - rate`.
 * Otherwise it changes nothing.
 *
 * What falls out depends on the trainer's seed, the number of the step and the layer's path, and is the same on every backend.
 *
 * @throws {RangeError} when `rate` is not in [0, 1).
 */
export function dropout(rate: number, options: DropoutOptions = {}): Layer {
  return new Dropout(rate, options);
}

/**
 * Refuses a rate that would leave nothing.
 *
 * @throws {RangeError} when it is not in [0, 1).
 */
export function checkRate(action: string, rate: number): void {
  if (!(rate >= 0 && rate < 1)) throw new RangeError(`${action}: the dropout rate ${rate} is not in [0, 1)`);
}

class Dropout extends Layer {
  readonly #rate: number;
  readonly #noiseShape: readonly number[] | undefined;

  constructor(rate: number, { noiseShape, ...options }: DropoutOptions) {
    super(options);
    checkOptionNames("Cannot make dropout layer", options, ["noiseShape", ...layerOptionNames]);
    checkRate("Cannot make dropout layer", rate);
    this.#rate = rate;
    this.#noiseShape = noiseShape;
  }

  call(x: Sym): Sym {
    if (!this.training) return x;
    const drawn = this.#noiseShape === undefined ? x.shape : [x.shape[0] ?? 1, ...this.#noiseShape];
    const reached = drawn.length === x.shape.length ? broadcastShapes(drawn, x.shape) : undefined;
    if (reached?.join() !== x.shape.join()) {
      throw x.graph.misfit("dropout", `the noise ${formatShape(drawn)} does not broadcast to ${formatSpec(x)}`);
    }
    return ops.dropout(x, this.#rate, drawn);
  }
}
