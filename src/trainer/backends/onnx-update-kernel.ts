// Loops over tensors as WebAssembly, four elements at a time. A function for each sequence of steps, written when a plan is compiled.
// https://webassembly.github.io/spec/core/binary/, https://github.com/WebAssembly/simd/blob/main/proposals/simd/BinarySIMD.md

import type { LoopKind, LoopValue, UpdateLoop } from "./onnx-updates.ts";

/** Computes the elements of `[0, bytes)` (whole vectors): first where each tensor and each result is, then scalars, then `bytes`. */
export type LoopFunction = (...parameters: readonly number[]) => void;

/** Memory that functions work in. */
export interface LoopMemory {
  /** Another one after each growth. */
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}

/** The part of the WebAssembly interface used here, which TypeScript declares for browsers only. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => object;
  readonly Instance: new (module: object, imports: object) => { readonly exports: Record<string, unknown> };
  readonly Memory: new (limits: { readonly initial: number; readonly maximum: number }) => LoopMemory;
};

/** Makes a memory of one page, of 64 KiB, that grows up to `maximum` pages. */
export function makeMemory(maximum: number): LoopMemory {
  return new WebAssembly.Memory({ initial: 1, maximum });
}

/** Bytes of a vector, which every tensor must begin at a multiple of, and be filled up to. */
export const VECTOR_BYTES = 16;

const types = { i32: 0x7f, f32: 0x7d, v128: 0x7b } as const;
const sections = { type: 1, import: 2, function: 3, export: 7, code: 10 } as const;
const vector = { load: 0x00, store: 0x0b, splat: 0x13 } as const;
const vectorOperations: Readonly<Record<LoopKind, number>> = {
  neg: 0xe1,
  sqrt: 0xe3,
  add: 0xe4,
  sub: 0xe5,
  mul: 0xe6,
  div: 0xe7,
};
const VECTOR_PREFIX = 0xfd;
const [LOOP, BRANCH_IF, END, GET, SET] = [0x03, 0x0d, 0x0b, 0x20, 0x21];
const [CONSTANT, ADD, LESS_UNSIGNED, NOTHING] = [0x41, 0x6a, 0x49, 0x40];

/**
 * Compiles the functions of some loops over a memory. Loops with the same steps share one.
 *
 * @param loops - each of at least one element
 * @param memory - where their tensors are
 */
export function compileLoops(loops: readonly UpdateLoop[], memory: LoopMemory): readonly LoopFunction[] {
  const places = new Map<string, number>();
  const distinct: UpdateLoop[] = [];
  const chosen = loops.map((loop) => {
    const key = JSON.stringify([loop.tensors.length, loop.scalars.length, loop.steps, [...loop.results.values()]]);
    const place = places.get(key) ?? distinct.push(loop) - 1;
    places.set(key, place);
    return place;
  });
  const instance = new WebAssembly.Instance(new WebAssembly.Module(moduleOf(distinct)), { "": { memory } });
  return chosen.map((place) => instance.exports[String(place)] as LoopFunction);
}

function moduleOf(loops: readonly UpdateLoop[]): Uint8Array<ArrayBuffer> {
  const numbers = loops.map((_, i) => i);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(sections.type, list(loops.map((loop) => [0x60, ...list(parametersOf(loop).map((type) => [type])), 0]))),
    ...section(sections.import, list([[...text(""), ...text("memory"), 0x02, 0x00, 0x01]])),
    ...section(sections.function, list(numbers.map(unsigned))),
    ...section(sections.export, list(numbers.map((i) => [...text(String(i)), 0x00, ...unsigned(i)]))),
    ...section(
      sections.code,
      list(
        loops.map((loop) => {
          const body = bodyOf(loop);
          return [...unsigned(body.length), ...body];
        }),
      ),
    ),
  ]);
}

function parametersOf({ tensors, scalars, results }: UpdateLoop): number[] {
  return [
    ...Array<number>(tensors.length + results.size).fill(types.i32),
    ...Array<number>(scalars.length).fill(types.f32),
    types.i32,
  ];
}

/** Every vector is loaded before one is stored, so a result may lie where a tensor is. */
function bodyOf(loop: UpdateLoop): number[] {
  const { tensors, scalars, steps, results } = loop;
  const firstScalar = tensors.length + results.size;
  const length = firstScalar + scalars.length;
  const offset = length + 1;
  const vectors = offset + 1; // those of tensors, of scalars, of steps
  const base = { tensor: vectors, scalar: vectors + tensors.length, step: vectors + tensors.length + scalars.length };
  function local([from, place]: LoopValue): number {
    return base[from] + place;
  }
  function address(pointer: number): number[] {
    return [...get(pointer), ...get(offset), ADD];
  }
  return [
    ...list([
      [1, types.i32],
      [...unsigned(tensors.length + scalars.length + steps.length), types.v128],
    ]),
    ...scalars.flatMap((_, i) => [...get(firstScalar + i), ...simd(vector.splat), ...set(base.scalar + i)]),
    ...[LOOP, NOTHING],
    ...tensors.flatMap((_, i) => [...address(i), ...simd(vector.load), 4, 0, ...set(base.tensor + i)]),
    ...steps.flatMap(({ kind, operands }, i) => [
      ...operands.flatMap((operand) => get(local(operand))),
      ...simd(vectorOperations[kind]),
      ...set(base.step + i),
    ]),
    ...[...results.values()].flatMap((step, i) => [
      ...address(tensors.length + i),
      ...get(base.step + step),
      ...simd(vector.store),
      ...[4, 0],
    ]),
    ...[...get(offset), CONSTANT, VECTOR_BYTES, ADD, ...set(offset)],
    ...[...get(offset), ...get(length), LESS_UNSIGNED, BRANCH_IF, 0],
    ...[END, END],
  ];
}

function get(local: number): number[] {
  return [GET, ...unsigned(local)];
}

function set(local: number): number[] {
  return [SET, ...unsigned(local)];
}

function simd(operation: number): number[] {
  return [VECTOR_PREFIX, ...unsigned(operation)];
}

function section(id: number, content: readonly number[]): number[] {
  return [id, ...unsigned(content.length), ...content];
}

function list(items: readonly (readonly number[])[]): number[] {
  return [...unsigned(items.length), ...items.flat()];
}

function text(value: string): number[] {
  return list(Array.from(new TextEncoder().encode(value), (byte) => [byte]));
}

/** LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}
