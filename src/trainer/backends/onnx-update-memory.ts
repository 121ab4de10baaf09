// The memory in which the loops of onnx-updates.ts work: state tensors that they replace in place, and room for gradients.

import { KdataError } from "../../core/errors.ts";
import { compileLoops, makeMemory, VECTOR_BYTES, type LoopFunction, type LoopMemory } from "./onnx-update-kernel.ts";
import type { UpdateLoop } from "./onnx-updates.ts";

const PAGE_BYTES = 1 << 16;
const MAX_PAGES = 1 << 16; // 4 GiB: what 32 bit addresses reach

/** Loops that are ready to run. */
export interface CompiledLoops {
  /** Runs them all. `outputOf` gives an output of the model that has just run. */
  run(outputOf: (name: string) => ArrayLike<number>): void;
}

/** State tensors in the memory of WebAssembly, by name; other memory is left alone. */
export class UpdateMemory {
  /** Made for the first loops: it takes addresses, of which not every process has so many. */
  #made: LoopMemory | undefined;
  /** Where a state tensor is, and how many elements it has. */
  readonly #placed = new Map<string, { readonly start: number; readonly elements: number }>();
  #end = 0;
  /** Room for what the model hands to a loop; programs of one session do not run at once. */
  #scratch: { readonly start: number; readonly bytes: number } = { start: 0, bytes: 0 };

  /** Says whether there is memory for some loops, and their state fits. */
  hasRoom(loops: readonly UpdateLoop[]): boolean {
    if (loops.length === 0) return true;
    this.#made ??= tryMemory();
    if (this.#made === undefined) return false;
    const wanted = this.#missing(loops).reduce((sum, [, elements]) => sum + bytesOf(elements), 0);
    return this.#end + wanted + scratchBytes(loops) <= MAX_PAGES * PAGE_BYTES;
  }

  /**
   * Compiles loops, and makes room for their state.
   *
   * @param loops - those of one program
   * @param elementsOf - the elements of a state tensor that is not here yet
   * @param moved - called for every tensor that is here, with its elements, which from now on are the tensor's
   * @throws {KdataError} `limit` when there is not so much memory.
   */
  compile(
    loops: readonly UpdateLoop[],
    elementsOf: (state: string) => ArrayLike<number>,
    moved: (state: string, elements: Float32Array<ArrayBuffer>) => void,
  ): CompiledLoops {
    let end = this.#end;
    const missing = this.#missing(loops);
    const placed = missing.map(([name, elements]) => {
      const start = end;
      end += bytesOf(elements);
      return [name, { start, elements }] as const;
    });
    const scratch = { start: end, bytes: scratchBytes(loops) };
    if (scratch.bytes > this.#scratch.bytes) end += scratch.bytes;
    this.#grow(end); // nothing has changed where this fails
    for (const [name, place] of placed) this.#placed.set(name, place);
    if (scratch.bytes > this.#scratch.bytes) this.#scratch = scratch;
    this.#end = end;
    for (const [name] of missing) this.#viewOf(name).set(elementsOf(name));
    for (const name of this.#placed.keys()) moved(name, this.#viewOf(name)); // growing has cut off all views
    const functions = compileLoops(loops, this.#memory);
    return {
      run: (outputOf) => {
        for (const [i, loop] of loops.entries()) this.#runOne(loop, functions[i], outputOf);
      },
    };
  }

  #missing(loops: readonly UpdateLoop[]): [string, number][] {
    return loops.flatMap(({ results, elements }) =>
      Array.from(results.keys(), (name): [string, number] => [name, elements]).filter(
        ([name]) => !this.#placed.has(name),
      ),
    );
  }

  get #memory(): LoopMemory {
    if (this.#made === undefined) throw new RangeError("Cannot update: there is no memory for loops");
    return this.#made;
  }

  #grow(end: number): void {
    const pages = Math.ceil(end / PAGE_BYTES) - this.#memory.buffer.byteLength / PAGE_BYTES;
    if (pages <= 0) return;
    try {
      this.#memory.grow(pages);
    } catch (cause) {
      throw new KdataError("limit", `Cannot hold state on onnx: ${end} bytes are not to be had`, { cause });
    }
  }

  #viewOf(name: string): Float32Array<ArrayBuffer> {
    const { start, elements } = this.#placeOf(name);
    return new Float32Array(this.#memory.buffer, start, elements);
  }

  #placeOf(name: string): { readonly start: number; readonly elements: number } {
    const place = this.#placed.get(name);
    if (place === undefined) throw new RangeError(`Cannot update '${name}': it is not in this memory`);
    return place;
  }

  #runOne(
    { tensors, scalars, results, elements }: UpdateLoop,
    call: LoopFunction | undefined,
    outputOf: (name: string) => ArrayLike<number>,
  ): void {
    let free = this.#scratch.start;
    const sources = tensors.map((tensor) => {
      if ("state" in tensor) return this.#placeOf(tensor.state).start;
      const start = free;
      new Float32Array(this.#memory.buffer, start, elements).set(outputOf(tensor.output));
      free += bytesOf(elements);
      return start;
    });
    const targets = Array.from(results.keys(), (name) => this.#placeOf(name).start);
    const numbers = scalars.map((scalar) => (typeof scalar === "number" ? scalar : (outputOf(scalar.output)[0] ?? 0)));
    call?.(...sources, ...targets, ...numbers, bytesOf(elements));
  }
}

/** `undefined` where the process has not so many addresses left. */
function tryMemory(): LoopMemory | undefined {
  try {
    return makeMemory(MAX_PAGES);
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Whole vectors. */
function bytesOf(elements: number): number {
  return Math.ceil((elements * Float32Array.BYTES_PER_ELEMENT) / VECTOR_BYTES) * VECTOR_BYTES;
}

/** Room for the outputs that the hungriest loop reads. */
function scratchBytes(loops: readonly UpdateLoop[]): number {
  return Math.max(
    0,
    ...loops.map(({ tensors, elements }) => tensors.filter((tensor) => "output" in tensor).length * bytesOf(elements)),
  );
}
