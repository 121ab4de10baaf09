// Hinge losses. Targets are -1 and 1; when all of a batch are 0 or 1, they are taken as -1 and 1, as Keras does.

import { elementCount } from "../../core/tensor.ts";
import type { Sym } from "../graph.ts";
import * as ops from "../ops.ts";
import { denseTarget, meanOfLast } from "../targets.ts";
import type { Loss } from "./loss.ts";

/** Makes the mean of `max(1 - target prediction, 0)` over the last axis. */
export function hinge(): Loss {
  return {
    name: "hinge",
    build: (target, prediction) => meanOfLast(shortfall("hinge", target, prediction)),
  };
}

/** Makes the mean of `max(1 - target prediction, 0)` squared over the last axis. */
export function squaredHinge(): Loss {
  return {
    name: "squaredHinge",
    build: (target, prediction) => meanOfLast(ops.square(shortfall("squaredHinge", target, prediction))),
  };
}

/** Makes `max(n - p + 1, 0)`: p the score of the right class, n the greatest of the others. Targets are 1 and 0 for each class. */
export function categoricalHinge(): Loss {
  return {
    name: "categoricalHinge",
    build(target, prediction) {
      const wanted = denseTarget("categoricalHinge", target, prediction);
      const right = ops.sum(ops.mul(wanted, prediction), { axes: -1 });
      const wrong = ops.reduceMax(ops.mul(ops.sub(1, wanted), prediction), { axes: -1 });
      return ops.max(ops.add(ops.sub(wrong, right), 1), 0);
    },
  };
}

function shortfall(name: string, target: Sym, prediction: Sym): Sym {
  const signs = asSigns(denseTarget(name, target, prediction));
  return ops.max(ops.sub(1, ops.mul(signs, prediction)), 0);
}

function asSigns(target: Sym): Sym {
  const isZero = ops.cast(ops.equal(target, 0), "int32");
  const isOne = ops.cast(ops.equal(target, 1), "int32");
  const isBinary = ops.equal(ops.sum(ops.add(isZero, isOne)), elementCount(target.shape));
  return ops.where(isBinary, ops.sub(ops.mul(target, 2), 1), target);
}
