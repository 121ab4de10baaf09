// Sums of products of two values, written as einsum writes them: https://numpy.org/doc/stable/reference/generated/numpy.einsum.html

import { elementCount } from "../../core/tensor.ts";
import type { Graph, Sym } from "../graph.ts";
import { formatSpec } from "../primitives.ts";
import { matmul, sum } from "./reduction.ts";
import { reshape, transpose } from "./shape.ts";

/** Letters of an equation, and those that `...` stands for are written as these. */
const HIDDEN_LETTERS = "αβγδεζηθ";
const OPERAND = /^[a-zA-Z]*(\.\.\.)?[a-zA-Z]*$/;

/** An equation with a letter for each axis. */
interface Equation {
  readonly a: string;
  readonly b: string;
  readonly result: string;
}

/**
 * Multiplies two float32 values and adds up, as `equation` says: `"bqhd,bkhd->bhqk"`. One letter an axis; what is in both and
 * not in the result is added up. `...` stands for the same axes wherever it is.
 *
 * It is one matrix product with transposes around it.
 *
 * @throws {KdataError} `shape` when the equation does not fit the values, or has a letter twice in one of them.
 */
export function einsum(equation: string, a: Sym, b: Sym): Sym {
  const { graph } = a;
  const parsed = parse(equation, [a, b]);
  if (typeof parsed === "string") throw graph.misfit(`einsum '${equation}'`, parsed);
  const sizes = measure(equation, graph, [
    [parsed.a, a],
    [parsed.b, b],
  ]);
  const left = sumAway(a, parsed.a, parsed.b + parsed.result);
  const right = sumAway(b, parsed.b, parsed.a + parsed.result);

  const shared = letters(left.letters, (letter) => right.letters.includes(letter));
  const batch = letters(shared, (letter) => parsed.result.includes(letter));
  const inner = letters(shared, (letter) => !parsed.result.includes(letter));
  const rows = letters(left.letters, (letter) => !shared.includes(letter));
  const columns = letters(right.letters, (letter) => !shared.includes(letter));

  // The right operand is transposed by the product itself where that spares a transpose.
  const transposeB = right.letters === batch + columns + inner && inner.length > 0;
  function sized(...groups: string[]): number[] {
    return groups.map((group) => elementCount(Array.from(group, (letter) => sizes.get(letter) ?? 1)));
  }
  const batchSizes = Array.from(batch, (letter) => sizes.get(letter) ?? 1);
  const product = matmul(
    reshape(arrange(left, batch + rows + inner), [...batchSizes, ...sized(rows, inner)]),
    reshape(arrange(right, batch + (transposeB ? columns + inner : inner + columns)), [
      ...batchSizes,
      ...(transposeB ? sized(columns, inner) : sized(inner, columns)),
    ]),
    { transposeB },
  );
  const order = batch + rows + columns;
  const apart = reshape(
    product,
    Array.from(order, (letter) => sizes.get(letter) ?? 1),
  );
  return arrange({ value: apart, letters: order }, parsed.result);
}

/** Splits an equation and writes out `...`, or says what is wrong with it. */
function parse(equation: string, values: readonly [Sym, Sym]): Equation | string {
  const [left, result, ...more] = equation.replaceAll(" ", "").split("->");
  const operands = left?.split(",") ?? [];
  const [a, b] = operands;
  if (a === undefined || b === undefined || operands.length > 2 || result === undefined || more.length > 0) {
    return "it is not of the form 'ab,bc->ac'";
  }
  if (![a, b, result].every((part) => OPERAND.test(part))) return "it has other signs than letters and one '...' each";
  const hidden = [a, b].map((part, i) =>
    part.includes("...") ? (values[i]?.shape.length ?? 0) - (part.length - "...".length) : 0,
  );
  const count = Math.max(...hidden);
  if (hidden.some((axes, i) => axes < 0 || (axes !== count && operands[i]?.includes("...") === true))) {
    return "'...' does not stand for the same axes";
  }
  if (count > HIDDEN_LETTERS.length) return `'...' stands for ${count} axes, at most ${HIDDEN_LETTERS.length}`;
  const [writtenA = "", writtenB = "", written = ""] = [a, b, result].map((part) =>
    part.replace("...", HIDDEN_LETTERS.slice(0, count)),
  );
  const twice = [writtenA, writtenB, written].find((part) => new Set(part).size < part.length);
  if (twice !== undefined) return `a letter stands twice in '${twice}'`;
  const unknown = Array.from(written).find((letter) => !writtenA.includes(letter) && !writtenB.includes(letter));
  return unknown === undefined ? { a: writtenA, b: writtenB, result: written } : `'${unknown}' is in neither operand`;
}

/** Finds the size of each letter, which is the same wherever it stands. */
function measure(equation: string, graph: Graph, operands: readonly (readonly [string, Sym])[]): Map<string, number> {
  const sizes = new Map<string, number>();
  for (const [written, value] of operands) {
    if (written.length !== value.shape.length) {
      throw graph.misfit(`einsum '${equation}'`, `${formatSpec(value)} has not ${written.length} axes`);
    }
    for (const [axis, letter] of Array.from(written).entries()) {
      const size = value.shape[axis] ?? 1;
      const known = sizes.get(letter) ?? size;
      if (known !== size) throw graph.misfit(`einsum '${equation}'`, `'${letter}' is ${known} and ${size}`);
      sizes.set(letter, size);
    }
  }
  return sizes;
}

/** A value and the letters of its axes. */
interface Lettered {
  readonly value: Sym;
  readonly letters: string;
}

/** Adds up along the axes whose letters stand nowhere else. */
function sumAway(value: Sym, written: string, elsewhere: string): Lettered {
  const axes = Array.from(written).flatMap((letter, axis) => (elsewhere.includes(letter) ? [] : [axis]));
  const kept = letters(written, (letter) => elsewhere.includes(letter));
  return { value: axes.length === 0 ? value : sum(value, { axes }), letters: kept };
}

function arrange({ value, letters: from }: Lettered, to: string): Sym {
  return transpose(
    value,
    Array.from(to, (letter) => from.indexOf(letter)),
  );
}

function letters(from: string, isWanted: (letter: string) => boolean): string {
  return Array.from(from).filter(isWanted).join("");
}
