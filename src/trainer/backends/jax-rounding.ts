// Rounding to 16-bit floats on jax-js, whose WebAssembly has neither of them: by the bits of float32.

import type * as Jax from "@jax-js/jax";

import type { HalfDType } from "../../core/half-float.ts";

/** Bits of float32's fraction that the type lacks. */
const droppedBits = { float16: 13, bfloat16: 16 } as const;

/** From here on up a number rounds to one beyond float16's greatest, 65504. */
const FLOAT16_OVERFLOW = 65520;
/** The least number with a hidden bit; those below are multiples of the spacing. */
const FLOAT16_NORMAL = 2 ** -14;
const FLOAT16_SPACING = 2 ** -24;
/** The spacing of float32 from 0.5 to 1 is that of float16's least numbers: a sum with 0.75 rounds to it. */
const SHIFT = 0.75;
const SHIFT_BITS = 0x3f400000;

/** Rounds to the nearest numbers of a 16-bit type, ties to even. Takes over `x`. */
export function roundTo(jax: typeof Jax, x: Jax.Array, format: HalfDType): Jax.Array {
  const { numpy } = jax;
  // Its subnormals are those of float32, with fewer bits: their bits round as all others.
  if (format === "bfloat16") return roundBits(jax, x, droppedBits.bfloat16);
  const magnitude = numpy.abs(x.ref);
  const isSmall = numpy.less(magnitude.ref, FLOAT16_NORMAL);
  const isLarge = numpy.greaterEqual(magnitude, FLOAT16_OVERFLOW);
  const small = roundSmall(jax, x.ref);
  const large = numpy.multiply(numpy.sign(x.ref), Infinity);
  return numpy.where(isSmall, small, numpy.where(isLarge, large, roundBits(jax, x, droppedBits.float16)));
}

/** Adds just under half of what is dropped, and one more where the last bit kept is odd; the sum carries as it should. */
function roundBits(jax: typeof Jax, x: Jax.Array, dropped: number): Jax.Array {
  const { numpy, lax } = jax;
  const bits = lax.bitcastConvertType(x.ref, numpy.int32);
  const odd = numpy.bitwiseAnd(numpy.rightShift(bits.ref, whole(jax, dropped)), whole(jax, 1));
  const sum = numpy.add(numpy.add(bits, whole(jax, 2 ** (dropped - 1) - 1)), odd);
  const rounded = lax.bitcastConvertType(numpy.bitwiseAnd(sum, whole(jax, -(2 ** dropped))), numpy.float32);
  return numpy.where(numpy.equal(x.ref, x.ref), rounded, x); // a NaN stays one
}

/** The difference is taken of the bits, because jax-js would take `x + 0.75 - 0.75` for `x`. */
function roundSmall(jax: typeof Jax, x: Jax.Array): Jax.Array {
  const { numpy, lax } = jax;
  const shifted = lax.bitcastConvertType(numpy.add(x, SHIFT), numpy.int32);
  const steps = numpy.subtract(shifted, whole(jax, SHIFT_BITS));
  return numpy.multiply(steps.astype(numpy.float32), FLOAT16_SPACING);
}

function whole({ numpy }: typeof Jax, value: number): Jax.Array {
  return numpy.full([], value, { dtype: numpy.int32 });
}
