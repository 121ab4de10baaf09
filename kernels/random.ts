// Philox 4x32-10, four counters at a time, into this module's memory. AssemblyScript: compiled by the build.
// The bits are those of src/core/random.ts: block b of a stream is four words, the draws 4 b to 4 b + 3.

const MULTIPLIER_0: u32 = 0xd2511f53;
const MULTIPLIER_1: u32 = 0xcd9e8d57;
const WEYL_0: u32 = 0x9e3779b9;
const WEYL_1: u32 = 0xbb67ae85;
const ROUNDS: i32 = 10;
const BLOCK_BYTES: usize = 16;

/** Gives the first byte that this module does not use. */
export function heapBase(): usize {
  return __heap_base;
}

// @ts-expect-error AssemblyScript decorator
@inline
function multiplyLow(a: v128, b: v128): v128 {
  return i32x4.mul(a, b);
}

// @ts-expect-error AssemblyScript decorator
@inline
function multiplyHigh(a: v128, b: v128): v128 {
  const low = i64x2.extmul_low_i32x4_u(a, b);
  const high = i64x2.extmul_high_i32x4_u(a, b);
  return v128.shuffle<i32>(low, high, 1, 3, 5, 7);
}

/**
 * Fills `[target, target + 64 * groups)` with the words of the blocks from `block` on of a stream: key `(key0, key1)`,
 * counter `(block, 0, step0, step1)`. `target` is a multiple of 16.
 */
export function words(target: usize, groups: u32, block: u32, key0: u32, key1: u32, step0: u32, step1: u32): void {
  const multiplier0 = i32x4.splat(MULTIPLIER_0);
  const multiplier1 = i32x4.splat(MULTIPLIER_1);
  let blocks = i32x4.add(i32x4.splat(block), i32x4(0, 1, 2, 3));
  let at = target;
  for (let group: u32 = 0; group < groups; group++) {
    let c0 = blocks;
    let c1 = i32x4.splat(0);
    let c2 = i32x4.splat(step0);
    let c3 = i32x4.splat(step1);
    let k0 = key0;
    let k1 = key1;
    for (let round = 0; round < ROUNDS; round++) {
      const high0 = multiplyHigh(multiplier0, c0);
      const high1 = multiplyHigh(multiplier1, c2);
      const low0 = multiplyLow(multiplier0, c0);
      const low1 = multiplyLow(multiplier1, c2);
      c0 = v128.xor(v128.xor(high1, c1), i32x4.splat(k0));
      c1 = low1;
      c2 = v128.xor(v128.xor(high0, c3), i32x4.splat(k1));
      c3 = low0;
      k0 += WEYL_0;
      k1 += WEYL_1;
    }
    // Four registers of one word of each block become four blocks of four words.
    const a = v128.shuffle<i32>(c0, c1, 0, 4, 1, 5);
    const b = v128.shuffle<i32>(c2, c3, 0, 4, 1, 5);
    const c = v128.shuffle<i32>(c0, c1, 2, 6, 3, 7);
    const d = v128.shuffle<i32>(c2, c3, 2, 6, 3, 7);
    v128.store(at, v128.shuffle<i64>(a, b, 0, 2));
    v128.store(at + BLOCK_BYTES, v128.shuffle<i64>(a, b, 1, 3));
    v128.store(at + 2 * BLOCK_BYTES, v128.shuffle<i64>(c, d, 0, 2));
    v128.store(at + 3 * BLOCK_BYTES, v128.shuffle<i64>(c, d, 1, 3));
    at += 4 * BLOCK_BYTES;
    blocks = i32x4.add(blocks, i32x4.splat(4));
  }
}

/** Turns `16 * groups` words in place into float32 in [0, 1): their upper 24 bits. */
export function uniforms(target: usize, groups: u32): void {
  const scale = f32x4.splat(<f32>(1.0 / 16777216.0));
  const end = target + 64 * <usize>groups;
  for (let at = target; at < end; at += 16) {
    v128.store(at, f32x4.mul(f32x4.convert_i32x4_u(i32x4.shr_u(v128.load(at), 8)), scale));
  }
}

/** Turns `16 * groups` words at `source` into bytes at `target`, which may be `source`: 1 where the word is below `bound`. */
export function below(source: usize, target: usize, groups: u32, bound: u32): void {
  const bounds = i32x4.splat(bound);
  const one = i8x16.splat(1);
  for (let group: u32 = 0; group < groups; group++) {
    const a = i32x4.lt_u(v128.load(source), bounds);
    const b = i32x4.lt_u(v128.load(source, 16), bounds);
    const c = i32x4.lt_u(v128.load(source, 32), bounds);
    const d = i32x4.lt_u(v128.load(source, 48), bounds);
    const low = i16x8.narrow_i32x4_s(a, b);
    const high = i16x8.narrow_i32x4_s(c, d);
    v128.store(target, v128.and(i8x16.narrow_i16x8_s(low, high), one));
    source += 64;
    target += 16;
  }
}
