import { describe, expect, test } from "vitest";

import { Graph, type Sym } from "../../src/trainer/graph.ts";
import * as ops from "../../src/trainer/ops.ts";
import type { Plan } from "../../src/trainer/plan.ts";
import { simplifyPlan } from "../../src/trainer/simplify.ts";

describe("simplifyPlan()", () => {
  test("drops a broadcast whose user broadcasts anyway", () => {
    const plan = planOf((x, bias) => ops.add(x, ops.broadcastTo(bias, [2, 3])));
    expect(kinds(plan)).toEqual(["input", "input", "broadcast", "add"]);
    expect(kinds(simplifyPlan(plan))).toEqual(["input", "input", "add"]);
  });

  test("keeps one broadcast where the result's shape needs it", () => {
    const plan = planOf((_, bias) => ops.mul(ops.broadcastTo(bias, [4, 3]), ops.broadcastTo(ops.exp(bias), [4, 3])));
    const simplified = simplifyPlan(plan);
    expect(kinds(simplified).filter((kind) => kind === "broadcast")).toHaveLength(1);
    expect(simplified.nodes.at(-1)?.shape).toEqual([4, 3]);
  });

  test("keeps a broadcast for users that do not broadcast", () => {
    const plan = planOf((x, bias) => ops.concat([x, ops.broadcastTo(bias, [2, 3])], 0));
    expect(kinds(simplifyPlan(plan))).toContain("broadcast");
  });

  test("reads past stopGradient, also where a result names it", () => {
    const plan = planOf((x) => ops.stopGradient(ops.exp(x)));
    const simplified = simplifyPlan(plan);
    expect(kinds(simplified)).toEqual(["input", "exp"]);
    expect(simplified.nodes[simplified.outputs.get("result") ?? -1]?.op.kind).toBe("exp");
  });

  test("numbers nodes from 0, operands before their users, and keeps the names", () => {
    const plan = planOf((x, bias) => ops.sum(ops.add(ops.stopGradient(x), ops.broadcastTo(bias, [2, 3]))));
    const { nodes, feeds, outputs } = simplifyPlan(plan);
    for (const [place, node] of nodes.entries()) {
      expect(node.id).toBe(place);
      for (const input of node.inputs) expect(input).toBeLessThan(place);
    }
    expect([...feeds.keys()]).toEqual(["x", "bias"]);
    expect(nodes[outputs.get("result") ?? -1]?.op.kind).toBe("sum");
  });
});

function planOf(build: (x: Sym, bias: Sym) => Sym): Plan {
  const graph = new Graph();
  const x = graph.input("x", [2, 3], "float32");
  const bias = graph.input("bias", [3], "float32");
  return graph.plan({ name: "test", feeds: { x, bias }, state: {}, updates: {}, outputs: { result: build(x, bias) } });
}

function kinds(plan: Plan): string[] {
  return plan.nodes.map(({ op }) => op.kind);
}
