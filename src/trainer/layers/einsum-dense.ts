// The dense layer over any axes: activation(einsum(equation, x, kernel) + bias), as Keras' EinsumDense.
// https://keras.io/api/layers/core_layers/einsum_dense/

import { checkOptionNames } from "../../core/options.ts";
import type { Sym } from "../graph.ts";
import { glorotUniform, zeros, type Initializer } from "../initializers.ts";
import * as ops from "../ops.ts";
import { formatSpec } from "../primitives.ts";
import { activations, checkActivation, type Activation } from "./activation.ts";
import { Layer, type LayerOptions, layerOptions } from "./layer.ts";

/** What an einsum does not say about a layer. */
export interface EinsumDenseOptions extends LayerOptions {
  /** Sizes of the result without its first axis, the batch; null where the input has the size. */
  readonly outputShape: readonly (number | null)[];
  /** Letters of the result along which the bias differs. No bias by default. */
  readonly biasAxes?: string;
  /** None by default. */
  readonly activation?: Activation;
  /** Default `glorotUniform`. */
  readonly kernelInitializer?: Initializer;
  /** Default `zeros`. */
  readonly biasInitializer?: Initializer;
}

const optionNames: Readonly<Record<keyof EinsumDenseOptions, true>> = {
  outputShape: true,
  biasAxes: true,
  activation: true,
  kernelInitializer: true,
  biasInitializer: true,
  ...layerOptions,
};

const FORM = /^([a-zA-Z]*(?:\.\.\.)?[a-zA-Z]*),([a-zA-Z]+)->([a-zA-Z]*(?:\.\.\.)?[a-zA-Z]*)$/;

/**
 * Makes a layer that multiplies its input with a kernel as `equation` says: `"abc,cde->abde"` with
 * `outputShape: [null, heads, size]`. Parameters: `kernel`, `bias` where `biasAxes` is given.
 *
 * @throws {RangeError} when the equation is not of the form `ab,bc->ac`, or `biasAxes` has other letters than the result.
 * @throws {KdataError} `usage` when there is no such option or activation.
 */
export function einsumDense(equation: string, options: EinsumDenseOptions): EinsumDense {
  return new EinsumDense(equation, options);
}

/** A dense layer over any axes: see {@link einsumDense}. */
export class EinsumDense extends Layer {
  readonly #equation: string;
  readonly #options: EinsumDenseOptions;
  readonly #input: string;
  readonly #kernel: string;
  readonly #result: string;

  constructor(equation: string, options: EinsumDenseOptions) {
    super(options);
    checkOptionNames("Cannot make einsumDense layer", options, Object.keys(optionNames));
    checkActivation("Cannot make einsumDense layer", options.activation);
    const [, input, kernel, result] = FORM.exec(equation.replaceAll(" ", "")) ?? [];
    if (input === undefined || kernel === undefined || result === undefined) {
      throw new RangeError(`Cannot make einsumDense layer: '${equation}' is not of the form 'ab,bc->ac'`);
    }
    const { biasAxes = "" } = options;
    if (!Array.from(biasAxes).every((letter) => result.includes(letter))) {
      throw new RangeError(
        `Cannot make einsumDense layer: biasAxes '${biasAxes}' has letters that '${result}' has not`,
      );
    }
    this.#equation = equation;
    this.#options = options;
    this.#input = input;
    this.#kernel = kernel;
    this.#result = result;
  }

  override get matrix(): string {
    return "kernel";
  }

  call(x: Sym): Sym {
    return this.#project(x, this.#options.outputShape);
  }

  /** Applies the layer as if it had been made with another `outputShape`. */
  applyTo(x: Sym, outputShape: readonly (number | null)[]): Sym {
    return this.within(x, (taken) => this.#project(taken, outputShape));
  }

  #project(x: Sym, outputShape: readonly (number | null)[]): Sym {
    const { biasAxes = "", kernelInitializer = glorotUniform, biasInitializer = zeros } = this.#options;
    const sizes = this.#sizes(x, outputShape);
    const kernelShape = Array.from(this.#kernel, (letter) => {
      const size = sizes.get(letter);
      if (size === undefined) {
        throw x.graph.misfit("einsumDense", `outputShape gives no size for '${letter}' of '${this.#equation}'`);
      }
      return size;
    });
    const kernel = this.param("kernel", kernelShape, { initializer: kernelInitializer });
    const product = ops.einsum(this.#equation, x, kernel);
    const output =
      biasAxes === ""
        ? product
        : ops.add(product, this.param("bias", this.#biasShape(sizes), { initializer: biasInitializer }));
    return activations[this.#options.activation ?? "linear"](output);
  }

  /** Finds the size of each letter: from the input, else from the shape that is asked for. */
  #sizes(x: Sym, outputShape: readonly (number | null)[]): Map<string, number> {
    const known = place(this.#input, x.shape);
    const asked = place(this.#result, [null, ...outputShape]);
    if (known === undefined || asked === undefined) {
      const wanted = `the result has ${outputShape.length + 1} axes`;
      throw x.graph.misfit("einsumDense", `'${this.#equation}' does not fit ${formatSpec(x)}, ${wanted}`);
    }
    const sizes = new Map<string, number>();
    for (const [letter, size] of [...asked, ...known]) if (size !== null) sizes.set(letter, size);
    return sizes;
  }

  /** The sizes along the bias' axes and 1 along those between and behind them. */
  #biasShape(sizes: ReadonlyMap<string, number>): number[] {
    const { biasAxes = "" } = this.#options;
    const letters = Array.from(this.#result.replace("...", ""));
    const first = letters.findIndex((letter) => biasAxes.includes(letter));
    return letters.slice(first).map((letter) => (biasAxes.includes(letter) ? (sizes.get(letter) ?? 1) : 1));
  }
}

/** Pairs letters with sizes; those before `...` count from the front, those behind it from the back. */
function place<T>(letters: string, sizes: readonly T[]): (readonly [string, T])[] | undefined {
  const [front = "", back] = letters.split("...");
  const count = front.length + (back?.length ?? 0);
  if (back === undefined ? count !== sizes.length : count > sizes.length) return undefined;
  const kept = [...sizes.slice(0, front.length), ...sizes.slice(sizes.length - (back?.length ?? 0))];
  return kept.slice(0, count).map((size, i) => [(front + (back ?? ""))[i] ?? "", size] as const);
}
