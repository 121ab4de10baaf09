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

/**
 * Turns `16 * groups` words in place into float32 of the standard normal distribution: two uniform numbers of 24 bits make two (Box and
 * Muller, 1958), with the logarithm and the sine of Cephes in float32 (https://www.netlib.org/cephes/), within 2e-6 of the exact ones.
 */
export function normals(target: usize, groups: u32): void {
  const scale = f32x4.splat(<f32>(1.0 / 16777216.0));
  const end = target + 64 * <usize>groups;
  for (let at = target; at < end; at += 32) {
    const a = v128.load(at);
    const b = v128.load(at, 16);
    const first = i32x4.shr_u(v128.shuffle<i32>(a, b, 0, 2, 4, 6), 8);
    const second = i32x4.shr_u(v128.shuffle<i32>(a, b, 1, 3, 5, 7), 8);
    // 1 - u, so that the logarithm is never that of 0; exact in float32.
    const rest = f32x4.mul(f32x4.convert_i32x4_s(i32x4.sub(i32x4.splat(1 << 24), first)), scale);
    const radius = f32x4.sqrt(f32x4.max(f32x4.splat(0), f32x4.mul(f32x4.splat(-2), logarithm(rest))));
    const turn = f32x4.mul(f32x4.convert_i32x4_u(second), f32x4.splat(<f32>(4.0 / 16777216.0)));
    const nearest = f32x4.nearest(turn);
    const quarter = i32x4.trunc_sat_f32x4_s(nearest);
    const angle = f32x4.mul(f32x4.sub(turn, nearest), f32x4.splat(<f32>1.5707963267948966));
    const sine = sineOf(angle);
    const cosine = cosineOf(angle);
    const isOdd = i32x4.eq(v128.and(quarter, i32x4.splat(1)), i32x4.splat(1));
    const signOfCosine = i32x4.shl(v128.and(i32x4.add(quarter, i32x4.splat(1)), i32x4.splat(2)), 30);
    const signOfSine = i32x4.shl(v128.and(quarter, i32x4.splat(2)), 30);
    const x = f32x4.mul(radius, v128.xor(v128.bitselect(sine, cosine, isOdd), signOfCosine));
    const y = f32x4.mul(radius, v128.xor(v128.bitselect(cosine, sine, isOdd), signOfSine));
    v128.store(at, v128.shuffle<i32>(x, y, 0, 4, 1, 5));
    v128.store(at, v128.shuffle<i32>(x, y, 2, 6, 3, 7), 16);
  }
}

/** The natural logarithm of numbers in (0, 1]. */
// @ts-expect-error AssemblyScript decorator
@inline
function logarithm(x: v128): v128 {
  // x = m 2^e with m in [sqrt(1/2), sqrt(2)).
  let exponent = f32x4.convert_i32x4_s(i32x4.sub(i32x4.shr_u(x, 23), i32x4.splat(126)));
  let m = v128.or(v128.and(x, i32x4.splat(0x007fffff)), f32x4.splat(0.5));
  const isSmall = f32x4.lt(m, f32x4.splat(<f32>0.707106781186547524));
  exponent = f32x4.sub(exponent, v128.and(isSmall, f32x4.splat(1)));
  m = f32x4.sub(f32x4.add(m, v128.and(isSmall, m)), f32x4.splat(1));
  const square = f32x4.mul(m, m);
  let p = f32x4.splat(<f32>7.0376836292e-2);
  p = multiplyAdd(p, m, <f32>-1.151461031e-1);
  p = multiplyAdd(p, m, <f32>1.167699874e-1);
  p = multiplyAdd(p, m, <f32>-1.2420140846e-1);
  p = multiplyAdd(p, m, <f32>1.4249322787e-1);
  p = multiplyAdd(p, m, <f32>-1.6668057665e-1);
  p = multiplyAdd(p, m, <f32>2.0000714765e-1);
  p = multiplyAdd(p, m, <f32>-2.4999993993e-1);
  p = multiplyAdd(p, m, <f32>3.3333331174e-1);
  let y = f32x4.mul(f32x4.mul(p, m), square);
  y = f32x4.add(y, f32x4.mul(exponent, f32x4.splat(<f32>-2.12194440e-4)));
  y = f32x4.sub(y, f32x4.mul(square, f32x4.splat(0.5)));
  return f32x4.add(f32x4.add(m, y), f32x4.mul(exponent, f32x4.splat(<f32>0.693359375)));
}

/** The sine of angles from -π/4 to π/4. */
// @ts-expect-error AssemblyScript decorator
@inline
function sineOf(angle: v128): v128 {
  const square = f32x4.mul(angle, angle);
  let p = f32x4.splat(<f32>-1.9515295891e-4);
  p = multiplyAdd(p, square, <f32>8.3321608736e-3);
  p = multiplyAdd(p, square, <f32>-1.6666654611e-1);
  return f32x4.add(angle, f32x4.mul(angle, f32x4.mul(p, square)));
}

/** The cosine of angles from -π/4 to π/4. */
// @ts-expect-error AssemblyScript decorator
@inline
function cosineOf(angle: v128): v128 {
  const square = f32x4.mul(angle, angle);
  let p = f32x4.splat(<f32>2.443315711809948e-5);
  p = multiplyAdd(p, square, <f32>-1.388731625493765e-3);
  p = multiplyAdd(p, square, <f32>4.166664568298827e-2);
  const rest = f32x4.sub(f32x4.splat(1), f32x4.mul(square, f32x4.splat(0.5)));
  return f32x4.add(rest, f32x4.mul(p, f32x4.mul(square, square)));
}

// @ts-expect-error AssemblyScript decorator
@inline
function multiplyAdd(a: v128, b: v128, c: f32): v128 {
  return f32x4.add(f32x4.mul(a, b), f32x4.splat(c));
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
