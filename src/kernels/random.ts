// Many random numbers at once: the streams of core/random.ts with a step in their counter, by a WebAssembly kernel.

import type { RandomKey } from "../core/random.ts";
import { instantiateKernel, type KernelExports } from "./wasm.ts";

/** The kernel computes four blocks of four words at a time. */
const GROUP_WORDS = 16;
const WORDS_PER_BLOCK = 4;
const GROUP_BYTES = GROUP_WORDS * 4;
/** Words drawn before they are turned into numbers: 16 KiB, which stay in a core's first cache. */
const CHUNK_WORDS = 4096;
/** A block's number is one word of the counter. */
const MOST_NUMBERS = 2 ** 32 * WORDS_PER_BLOCK;

interface RandomKernel extends KernelExports {
  words(
    target: number,
    groups: number,
    block: number,
    key0: number,
    key1: number,
    step0: number,
    step1: number,
  ): void;
  uniforms(target: number, groups: number): void;
  normals(target: number, groups: number): void;
  below(source: number, target: number, groups: number, bound: number): void;
}

/** Which numbers to draw: number `i` is a function of these and of `i`, so a shorter list is the beginning of a longer one. */
export interface RandomPlace {
  readonly key: RandomKey;
  /** A whole number from 0 to 2^53 - 1. */
  readonly step: number;
}

/** A part of a list: where it begins and how many numbers it has. */
interface Chunk {
  readonly at: number;
  readonly length: number;
  readonly groups: number;
}

/** Draws random numbers by a kernel with a small memory of its own. */
export class RandomFiller {
  readonly #kernel = instantiateKernel("random") as RandomKernel;
  readonly #start = Math.ceil(this.#kernel.heapBase() / GROUP_BYTES) * GROUP_BYTES;
  readonly #floats: Float32Array;
  readonly #bytes: Uint8Array;

  /** Loads the kernel and views its memory, which stays as large as it is: a page holds a chunk. */
  constructor() {
    const { memory } = this.#kernel;
    if (memory.buffer.byteLength < this.#start + CHUNK_WORDS * 4) memory.grow(1);
    this.#floats = new Float32Array(memory.buffer, this.#start, CHUNK_WORDS);
    this.#bytes = new Uint8Array(memory.buffer, this.#start, CHUNK_WORDS);
  }

  /** Fills `target` with numbers in [0, 1) of 24 random bits. */
  uniform(target: Float32Array, place: RandomPlace): void {
    this.#draw(target.length, place, ({ at, length, groups }) => {
      this.#kernel.uniforms(this.#start, groups);
      target.set(this.#floats.subarray(0, length), at);
    });
  }

  /** Fills `target` from the standard normal distribution (Box and Muller, 1958): two uniform numbers make two. */
  normal(target: Float32Array, place: RandomPlace): void {
    this.#draw(target.length, place, ({ at, length, groups }) => {
      this.#kernel.normals(this.#start, groups);
      target.set(length === CHUNK_WORDS ? this.#floats : this.#floats.subarray(0, length), at);
    });
  }

  /** Fills `target` with bytes: 1 with the given probability, to within 2^-32, and 0 otherwise. */
  bernoulli(target: Uint8Array, probability: number, place: RandomPlace): void {
    const bound = Math.round(probability * 2 ** 32);
    if (bound >= 2 ** 32) {
      target.fill(1);
      return;
    }
    this.#draw(target.length, place, ({ at, length, groups }) => {
      this.#kernel.below(this.#start, this.#start, groups, bound);
      target.set(this.#bytes.subarray(0, length), at);
    });
  }

  /** Writes the words of one chunk after the other to the start of the memory. */
  #draw(count: number, { key, step }: RandomPlace, use: (chunk: Chunk) => void): void {
    if (count > MOST_NUMBERS) throw new RangeError(`Cannot draw ${count} random numbers: at most ${MOST_NUMBERS}`);
    for (let at = 0; at < count; at += CHUNK_WORDS) {
      const length = Math.min(CHUNK_WORDS, count - at);
      const groups = Math.ceil(length / GROUP_WORDS);
      const block = at / WORDS_PER_BLOCK;
      this.#kernel.words(this.#start, groups, block, key[0], key[1], step >>> 0, Math.floor(step / 2 ** 32));
      use({ at, length, groups });
    }
  }
}
