// Muon: Jordan et al., https://kellerjordan.github.io/posts/muon/, scaled as in Moonlight, https://arxiv.org/abs/2502.16982

import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { assemble } from "./assemble.ts";
import { adamChange, betaPowers, checkMoments, nextMoments } from "./moments.ts";
import { named, zeroSlot, type Optimizer, type ParameterSpec } from "./optimizer.ts";
import {
  checkCount,
  checkOptimizerOptions,
  checkSetting,
  isChosen,
  type OptimizerOptions,
  type PathPattern,
} from "./options.ts";

const NORM_MARGIN = 1e-7; // keeps the division by a norm finite
const COEFFICIENTS = [3.4445, -4.775, 2.0315] as const; // steepest at 0, from the post

/** Settings of {@link muon}. The learning rate's default is 0.001, the weight decay's 0.004. */
export interface MuonOptions extends OptimizerOptions {
  /** The part of the momentum that stays, in [0, 1). Default 0.95. */
  readonly momentum?: number;
  /** Looks one change ahead. Default true. */
  readonly nesterov?: boolean;
  /** Newton-Schulz iterations. Default 5. */
  readonly nsSteps?: number;
  /** A matrix' change is multiplied by this and the root of its longer side; null leaves it as it is. Default 0.2. */
  readonly rmsRate?: number | null;
  /** Matrices that Adam updates. Default none. */
  readonly excludeLayers?: readonly PathPattern[];
  /** Adam updates matrices whose path contains `embedding`. Default true. */
  readonly excludeEmbeddings?: boolean;
  /** Default 0.9. */
  readonly adamBeta1?: number;
  /** Default 0.999. */
  readonly adamBeta2?: number;
  /** Adam's. Default 1e-7. */
  readonly epsilon?: number;
  /** The weight decay of what Adam updates. Default 0.004. */
  readonly adamWeightDecay?: number;
  /** Adam's learning rate as a multiple of Muon's. Default 1. */
  readonly adamLrRatio?: number;
}

const ownDefaults = {
  momentum: 0.95,
  nesterov: true,
  nsSteps: 5,
  rmsRate: 0.2,
  excludeLayers: [],
  excludeEmbeddings: true,
  adamBeta1: 0.9,
  adamBeta2: 0.999,
  epsilon: 1e-7,
  adamWeightDecay: 0.004,
  adamLrRatio: 1,
  weightDecay: 0.004,
  learningRate: 0.001,
} satisfies MuonOptions;

type Settings = Required<Omit<MuonOptions, keyof OptimizerOptions>>;

/**
 * Makes Muon: the momentum of a matrix, `m = momentum m + g`, is made nearly orthogonal by Newton-Schulz iterations before it
 * is the change. Parameters of one axis or of three and more, and embeddings, are updated by Adam, as Keras does.
 *
 * @throws {RangeError} when a setting is out of its range.
 * @throws {KdataError} `usage` for an unknown option.
 */
export function muon(options: MuonOptions = {}): Optimizer {
  const settings = { ...ownDefaults, ...options };
  checkOptimizerOptions("muon", options, Object.keys(ownDefaults));
  checkMuon(settings);
  const moments = { beta1: settings.adamBeta1, beta2: settings.adamBeta2, epsilon: settings.epsilon };
  checkMoments("muon", moments);
  return assemble(
    {
      name: "muon",
      ...betaPowers(moments),
      slots: (parameter): ReturnType<Optimizer["slots"]> =>
        isAdams(settings, parameter)
          ? { m: zeroSlot(parameter), v: zeroSlot(parameter) }
          : { momentum: zeroSlot(parameter) },
      weightDecay: (parameter) => (isAdams(settings, parameter) ? settings.adamWeightDecay : settings.weightDecay),
      update(step) {
        const { parameter, gradient, slots, learningRate: rate, scalars } = step;
        if (isAdams(settings, step)) {
          const next = nextMoments(step, moments);
          const change = adamChange(next, ops.mul(rate, settings.adamLrRatio), scalars, moments);
          return { parameter: ops.sub(parameter, change), slots: next };
        }
        const momentum = ops.add(ops.mul(named(slots, "momentum"), settings.momentum), gradient);
        const ahead = settings.nesterov ? ops.add(gradient, ops.mul(momentum, settings.momentum)) : momentum;
        const size = settings.rmsRate === null ? 1 : Math.sqrt(Math.max(...parameter.shape)) * settings.rmsRate;
        const change = ops.mul(ops.mul(rate, size), orthogonalised(ahead, settings.nsSteps));
        return { parameter: ops.sub(parameter, change), slots: { momentum } };
      },
    },
    settings,
  );
}

function checkMuon({ momentum, nsSteps, rmsRate, adamWeightDecay, adamLrRatio }: Settings): void {
  checkSetting("muon", "momentum", momentum, momentum >= 0 && momentum < 1);
  checkCount("muon", "nsSteps", nsSteps);
  if (rmsRate !== null) checkSetting("muon", "rmsRate", rmsRate, rmsRate > 0);
  checkSetting("muon", "adamWeightDecay", adamWeightDecay, adamWeightDecay >= 0);
  checkSetting("muon", "adamLrRatio", adamLrRatio, adamLrRatio >= 0);
}

function isAdams({ excludeEmbeddings, excludeLayers }: Settings, { path, shape }: ParameterSpec): boolean {
  if (shape.length !== 2 || isChosen(path, excludeLayers)) return true;
  return excludeEmbeddings && path.toLowerCase().includes("embedding");
}

/** Brings the singular values of a matrix near 1: a quintic polynomial of it, again and again. */
function orthogonalised(matrix: Sym, steps: number): Sym {
  const [rows = 0, columns = 0] = matrix.shape;
  const [a, b, c] = COEFFICIENTS;
  const wide = rows > columns ? ops.transpose(matrix) : matrix;
  let x = ops.div(wide, ops.add(ops.sqrt(ops.sum(ops.square(wide))), NORM_MARGIN));
  for (let step = 0; step < steps; step++) {
    const products = ops.matmul(x, x, { transposeB: true });
    const higher = ops.add(ops.mul(products, b), ops.mul(ops.matmul(products, products), c));
    x = ops.add(ops.mul(x, a), ops.matmul(higher, x));
  }
  return rows > columns ? ops.transpose(x) : x;
}
