import { describe, expect, test } from "vitest";
import { Graph } from "../../src/trainer/graph.ts";
import * as ops from "../../src/trainer/ops.ts";
import type { Op } from "../../src/trainer/plan.ts";
import { float32, int32 } from "./evaluate.ts";

describe("Graph", () => {
  test("makes the same operation on the same values once", () => {
    const graph = new Graph();
    const x = graph.input("x", [2, 3], "float32");
    const y = graph.input("y", [2, 3], "float32");
    expect(ops.exp(x)).toBe(ops.exp(x));
    expect(ops.sum(x, { axes: -1 })).toBe(ops.sum(x, { axes: 1 }));
    expect(ops.mul(x, 2)).toBe(ops.mul(x, 2));
    expect(ops.sub(x, y)).not.toBe(ops.sub(y, x));
    expect(ops.sum(x, { axes: 1 })).not.toBe(ops.sum(x, { axes: 1, keepDims: true }));
    expect(ops.greater(x, y)).not.toBe(ops.greaterEqual(x, y));
  });

  test("shares constants of the same bits, and only those", () => {
    const graph = new Graph();
    expect(graph.constant(float32([2], [1, 2]))).toBe(graph.constant(float32([2], [1, 2])));
    expect(graph.constant(float32([2], [1, 2]))).not.toBe(graph.constant(float32([1, 2], [1, 2])));
    expect(graph.constant(1)).not.toBe(graph.constant(1, "int32"));
    expect(graph.constant(0)).not.toBe(graph.constant(-0));
    expect(graph.constant(NaN)).toBe(graph.constant(NaN));
  });

  test("keeps a constant when the memory it came from changes", () => {
    const graph = new Graph();
    const memory = float32([2], [1, 2]);
    const { op } = graph.constant(memory);
    memory.data.fill(9);
    expect(op.kind === "const" && Array.from(op.value.data)).toEqual([1, 2]);
  });

  test("makes no node for what changes nothing", () => {
    const graph = new Graph();
    const x = graph.input("x", [2, 3], "float32");
    const scalar = graph.input("scalar", [], "float32");
    for (const same of [
      ops.add(x, 0),
      ops.add(0, x),
      ops.sub(x, 0),
      ops.mul(x, 1),
      ops.mul(1, x),
      ops.div(x, 1),
      ops.add(x, ops.broadcastTo(graph.constant(0), [2, 3])),
      ops.neg(ops.neg(x)),
      ops.transpose(x, [0, 1]),
      ops.transpose(ops.transpose(x)),
      ops.reshape(ops.reshape(x, [6]), [2, -1]),
      ops.broadcastTo(x, [2, 3]),
      ops.slice(x, [0, 0], [2, 3]),
      ops.pad(x, [0, 0], [0, 0]),
      ops.concat([x], 0),
      ops.cast(x, "float32"),
      ops.sum(x, { axes: [] }),
    ]) {
      expect(same).toBe(x);
    }
    expect(ops.sub(0, x)).not.toBe(x);
    expect(ops.div(1, x)).not.toBe(x);
    expect(ops.mul(x, 0)).not.toBe(graph.constant(0));
    expect(ops.add(scalar, ops.broadcastTo(graph.constant(0), [2])).shape).toEqual([2]);
    expect(ops.cast(ops.cast(x, "int32"), "float32")).not.toBe(x);
  });

  test("reads past the first of two transposes, reshapes or broadcasts", () => {
    const graph = new Graph();
    const x = graph.input("x", [2, 3, 4], "float32");
    expect(ops.transpose(ops.transpose(x, [1, 2, 0]), [2, 1, 0])).toBe(ops.transpose(x, [0, 2, 1]));
    expect(ops.reshape(ops.reshape(x, [24]), [4, 6]).inputs).toEqual([x]);
    const row = graph.input("row", [3], "float32");
    expect(ops.broadcastTo(ops.broadcastTo(row, [2, 3]), [4, 2, 3]).inputs).toEqual([row]);
  });

  test("refuses inputs of one name, operands of another graph and wrong numbers of operands", () => {
    const graph = new Graph();
    const x = graph.input("x", [2], "float32");
    expect(() => graph.input("x", [3], "float32")).toThrow(TypeError);
    expect(() => graph.input("z", [-1], "float32")).toThrow(RangeError);
    expect(() => ops.add(x, new Graph().input("x", [2], "float32"))).toThrow(/another graph/);
    expect(() => graph.node({ kind: "add" }, [x])).toThrow(/takes 2 operands, not 1/);
    expect(() => graph.node({ kind: "concat", axis: 0 }, [])).toThrow(/takes 1 operands or more, not 0/);
    expect(() => ops.add(1, 2)).toThrow(TypeError);
    expect(() => graph.constant(0.5, "int32")).toThrow(RangeError);
    expect(() => graph.constant(2, "bool")).toThrow(RangeError);
  });

  test("scope() marks the values made inside, ends with its body, and the first scope of a value stays", () => {
    const graph = new Graph();
    const x = graph.input("x", [2], "float32");
    const inner = graph.scope("encoder", () => {
      const before = ops.exp(x);
      expect(graph.scope("encoder/dense", () => ops.log(x)).scope).toBe("encoder/dense");
      expect(() =>
        graph.scope("broken", () => {
          throw new RangeError("no");
        }),
      ).toThrow("no");
      expect(ops.tanh(x).scope).toBe("encoder");
      return before;
    });
    expect(inner.scope).toBe("encoder");
    expect(ops.exp(x).scope).toBe("encoder");
    expect(ops.sqrt(x).scope).toBe("");
  });
});

describe("Graph.plan()", () => {
  function kinds(nodes: readonly { readonly op: Op }[]): string[] {
    return nodes.map(({ op }) => op.kind);
  }

  test("keeps what updates and outputs need, with dense ids and operands first", () => {
    const graph = new Graph();
    const unused = graph.input("unused", [2], "float32");
    const x = graph.input("x", [2], "float32");
    ops.exp(x);
    const w = graph.input("w", [2], "float32");
    const idle = graph.input("idle", [2], "float32");
    const product = ops.mul(x, w);
    const plan = graph.plan({
      name: "train",
      feeds: { x, unused },
      state: { "model/w": w, idle },
      updates: { "model/w": ops.sub(w, product), idle },
      outputs: { product },
    });
    expect(kinds(plan.nodes)).toEqual(["input", "input", "mul", "sub"]);
    expect(plan.nodes.map(({ id }) => id)).toEqual([0, 1, 2, 3]);
    expect(plan.nodes.every(({ id, inputs }) => inputs.every((input) => input < id))).toBe(true);
    expect([...plan.feeds]).toEqual([["x", 0]]);
    expect([...plan.state]).toEqual([["model/w", 1]]);
    expect([...plan.updates]).toEqual([["model/w", 3]]);
    expect([...plan.outputs]).toEqual([["product", 2]]);
    expect(plan.nodes[1]!.op).toEqual({ kind: "input", name: "model/w" });
  });

  test("refuses an input that nothing gives, and an update that does not fit its state", () => {
    const graph = new Graph();
    const x = graph.input("x", [2], "float32");
    const parts = { name: "train", feeds: {}, state: {}, updates: {}, outputs: {} };
    expect(() => graph.plan({ ...parts, outputs: { y: ops.exp(x) } })).toThrow(/needs the input 'x'/);
    expect(() => graph.plan({ ...parts, state: { x }, updates: { x: ops.sum(x) } })).toThrow(
      /update of 'x' is float32 \[\], its state float32 \[2\]/,
    );
    expect(() => graph.plan({ ...parts, outputs: { y: new Graph().constant(1) } })).toThrow(/another graph/);
  });
});

describe("shape inference", () => {
  const graph = new Graph();
  const x = graph.input("x", [2, 3], "float32");
  const scalar = graph.input("scalar", [], "float32");
  const empty = graph.input("empty", [2, 0], "float32");
  const i = graph.input("i", [2], "int32");
  const flags = graph.input("flags", [2, 3], "bool");

  test.each<[string, () => unknown, RegExp]>([
    [
      "add of shapes that do not broadcast",
      () => ops.add(x, graph.constant(float32([2], [1, 2]))),
      /add: float32 \[2, 3\] and float32 \[2\] do not broadcast/,
    ],
    ["add of two dtypes", () => ops.add(ops.slice(x, [0, 0], [2, 1]), ops.reshape(i, [2, 1])), /differ in dtype/],
    ["add of bool", () => ops.add(flags, flags), /takes float32 or int32, not bool/],
    ["div of int32", () => ops.div(i, i), /takes float32, not int32/],
    ["exp of int32", () => ops.exp(i), /takes float32, not int32 \[2\]/],
    ["where by a float", () => ops.where(x, x, x), /condition is float32 \[2, 3\], not bool/],
    ["where of two dtypes", () => ops.where(flags, x, ops.cast(x, "int32")), /differ in dtype/],
    ["where that does not broadcast", () => ops.where(flags, i, i), /do not broadcast/],
    ["sum over an axis that is not there", () => ops.sum(x, { axes: 2 }), /sum: float32 \[2, 3\] has no axis 2/],
    ["sum over an axis twice", () => ops.sum(x, { axes: [1, -1] }), /\[1, 1\] are not ascending axes/],
    ["sum of bool", () => ops.sum(flags), /not bool/],
    ["reduceMax of nothing", () => ops.reduceMax(empty, { axes: 1 }), /no elements/],
    ["argmax of nothing", () => ops.argmax(empty), /no elements/],
    ["argmax of a scalar", () => ops.argmax(scalar), /no axis -1/],
    ["reshape to other elements", () => ops.reshape(x, [4]), /has 6 elements, \[4\] has 4/],
    [
      "reshape with a rest that is not whole",
      () => ops.reshape(x, [4, -1]),
      /6 elements of float32 \[2, 3\] do not fill \[4, -1\]/,
    ],
    ["reshape with two rests", () => ops.reshape(x, [-1, -1]), /do not fill|not a shape/],
    ["reshape with a rest of nothing", () => ops.reshape(empty, [0, -1]), /do not fill/],
    ["broadcast to a smaller shape", () => ops.broadcastTo(x, [3]), /does not broadcast to \[3\]/],
    ["transpose by too few axes", () => ops.transpose(x, [0]), /does not order the axes/],
    ["transpose by an axis twice", () => ops.transpose(x, [0, 0]), /does not order the axes/],
    ["slice beyond the end", () => ops.slice(x, [0, 0], [2, 4]), /not a part of float32 \[2, 3\]/],
    ["slice backwards", () => ops.slice(x, [2, 0], [1, 3]), /not a part/],
    ["pad by less than nothing", () => ops.pad(x, [-1, 0], [0, 0]), /do not pad/],
    ["concat of other rows", () => ops.concat([x, empty], 0), /does not continue/],
    ["gather by floats", () => ops.gather(x, x), /indices are float32/],
    ["gather from a scalar", () => ops.gather(scalar, i), /has no rows/],
    ["scatterAdd with too few rows", () => ops.scatterAdd(i, ops.slice(x, [0, 0], [1, 3]), 4), /no row for each index/],
    ["scatterAdd into half a row", () => ops.scatterAdd(i, x, 0.5), /not a number of rows/],
    ["matmul of other sizes", () => ops.matmul(x, x), /3 columns meet 2 rows/],
    [
      "matmul transposed, of other sizes",
      () => ops.matmul(x, x, { transposeA: true, transposeB: true }),
      /\(transposed\).*2 columns meet 3 rows/,
    ],
    ["matmul of a vector", () => ops.matmul(x, ops.slice(ops.reshape(x, [6]), [0], [3])), /not both matrices/],
    [
      "matmul of int32",
      () => ops.matmul(ops.cast(x, "int32"), ops.cast(ops.transpose(x), "int32")),
      /not both float32/,
    ],
    [
      "matmul of batches that do not broadcast",
      () => ops.matmul(graph.constant(float32([2, 1, 1], [1, 2])), graph.constant(float32([3, 1, 1], [1, 2, 3]))),
      /do not broadcast/,
    ],
    ["iota along no axis", () => ops.iota(graph, [3], 1), /no axis 1/],
    ["iota of no shape", () => ops.iota(graph, [-3]), /not a shape/],
  ])("refuses %s", (_, trace, message) => {
    expect(trace).toThrow(expect.objectContaining({ name: "KdataError", code: "shape" }));
    expect(trace).toThrow(message);
  });

  test("names the layer in the message", () => {
    expect(() => graph.scope("encoder/dense_1", () => ops.matmul(x, x), "its input is float32 [2, 3]")).toThrow(
      "Cannot trace matmul in encoder/dense_1 (its input is float32 [2, 3]): float32 [2, 3] and float32 [2, 3] do not multiply: 3 columns meet 2 rows",
    );
  });

  test("knows the shape of each result", () => {
    const batch = graph.constant(int32([4, 2], [0, 1, 0, 1, 0, 1, 0, 1]));
    expect(ops.gather(x, batch).shape).toEqual([4, 2, 3]);
    expect(ops.scatterAdd(i, x, 7).shape).toEqual([7, 3]);
    expect(ops.oneHot(batch, 5).shape).toEqual([4, 2, 5]);
    expect(ops.argmax(x, 0)).toMatchObject({ shape: [3], dtype: "int32" });
    expect(ops.sum(x, { axes: 0, keepDims: true }).shape).toEqual([1, 3]);
    expect(ops.concat([x, x, x], 1).shape).toEqual([2, 9]);
    expect(ops.pad(x, [1, 0], [0, 2]).shape).toEqual([3, 5]);
    expect(ops.greater(x, 0)).toMatchObject({ shape: [2, 3], dtype: "bool" });
    expect(ops.sum(empty, { axes: 1 }).shape).toEqual([2]);
  });
});
