// The feed-forward block of a transformer: out, activation, back.

import { checkOptionNames } from "../../core/options.ts";
import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { activations, checkActivation, type Activation } from "./activation.ts";
import { dense, type DenseOptions } from "./dense.ts";
import { dropout } from "./dropout.ts";
import { einsumDense, type EinsumDense } from "./einsum-dense.ts";
import { Layer } from "./layer.ts";

/** Settings of {@link mlp}. */
export interface MlpOptions extends DenseOptions {
  /** Default `gelu`. */
  readonly activation?: Activation;
  /** The size of the result. Default: that of the input. */
  readonly units?: number;
  /** Multiplies the activated units with as many others, as SwiGLU does (with `silu`): https://arxiv.org/abs/2002.05202. Default false. */
  readonly gated?: boolean;
  /** The part of the hidden units and of the result that drops out in training. Default 0. */
  readonly dropout?: number;
}

/**
 * Makes a layer `down(activation(up(x)))` over the last axis, or `down(activation(gate(x)) * up(x))`; the three are dense
 * layers.
 *
 * @throws {RangeError} when a number is out of its range.
 */
export function mlp(hiddenUnits: number, options: MlpOptions = {}): Layer {
  return new Mlp(hiddenUnits, options);
}

class Mlp extends Layer {
  readonly up: Layer;
  readonly gate: Layer | undefined;
  readonly down: EinsumDense;
  readonly hiddenDropout: Layer;
  readonly outputDropout: Layer;
  readonly #activation: Activation;
  readonly #units: number | undefined;

  constructor(hiddenUnits: number, options: MlpOptions) {
    const { activation = "gelu", units, gated = false, dropout: rate = 0, name, trainable, dtype, ...inner } = options;
    super({ name, trainable, dtype });
    const allowed = ["useBias", "kernelInitializer", "biasInitializer"];
    checkOptionNames("Cannot make mlp layer", inner, allowed);
    checkActivation("Cannot make mlp layer", activation);
    this.#activation = activation;
    this.#units = units;
    this.up = dense(hiddenUnits, inner);
    this.gate = gated ? dense(hiddenUnits, inner) : undefined;
    const { useBias = true, ...initializers } = inner;
    const bias = useBias ? { biasAxes: "b" } : {};
    this.down = einsumDense("...a,ab->...b", { outputShape: [units ?? null], ...bias, ...initializers });
    this.hiddenDropout = dropout(rate);
    this.outputDropout = dropout(rate);
  }

  call(x: Sym): Sym {
    const activate = activations[this.#activation];
    const up = this.up.apply(x);
    const hidden = this.gate === undefined ? activate(up) : ops.mul(activate(this.gate.apply(x)), up);
    const kept = this.hiddenDropout.apply(hidden);
    return this.outputDropout.apply(this.down.applyTo(kept, [this.#units ?? x.shape.at(-1) ?? 1]));
  }
}
