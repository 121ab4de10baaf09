// Losses between vectors on the last axis: distributions and directions.

import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { denseTarget } from "../targets.ts";
import type { Loss } from "./loss.ts";
import { PROBABILITY_MARGIN } from "./probability.ts";

/** Makes the sum of `t log(t / p)` over the last axis, both kept in [1e-7, 1]. */
export function klDivergence(): Loss {
  return {
    name: "klDivergence",
    build(target, prediction) {
      const wanted = clipped(denseTarget("klDivergence", target, prediction));
      const logRatio = ops.sub(ops.log(wanted), ops.log(clipped(prediction)));
      return ops.sum(ops.mul(wanted, logRatio), { axes: -1 });
    },
  };
}

/** Makes minus the cosine of the angle between target and prediction, -1 for one direction. A vector of length 0 gives 0. */
export function cosineSimilarity(): Loss {
  return {
    name: "cosineSimilarity",
    build: (target, prediction) => ops.neg(cosine("cosineSimilarity", target, prediction)),
  };
}

/** Computes the cosine of the angle between target and prediction over the last axis. */
export function cosine(action: string, target: Sym, prediction: Sym): Sym {
  const wanted = direction(denseTarget(action, target, prediction));
  return ops.sum(ops.mul(wanted, direction(prediction)), { axes: -1 });
}

function clipped(share: Sym): Sym {
  return ops.min(ops.max(share, PROBABILITY_MARGIN), 1);
}

function direction(x: Sym): Sym {
  const squares = ops.sum(ops.square(x), { axes: -1, keepDims: true });
  return ops.div(x, ops.sqrt(ops.max(squares, PROBABILITY_MARGIN ** 2)));
}
