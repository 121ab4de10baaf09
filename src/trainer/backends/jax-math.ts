// exp, log, tanh and erf of jax-js to the last bit or two of float32. The engine's own are short polynomials: its log is off by 1.3e-5
// below each power of two, its exp by 4e-6 of the result far from 0, its tanh by 1e-4 of the result near 0, its erf by 1.5e-7.
// https://www.netlib.org/fdlibm/e_log.c, https://www.netlib.org/fdlibm/e_exp.c

import type * as Jax from "@jax-js/jax";

import { ERF_DENOMINATOR, ERF_LIMIT, ERF_NUMERATOR } from "../erf-approximation.ts";

type JaxArray = Jax.Array;

/** The natural logarithm of 2 as a float32 whose products with whole numbers are exact, and the rest. */
const [LN2_HIGH, LN2_LOW] = [0.693138122558594, 9.05800061445916e-6];

/** exp of a larger number is infinite in float32, of a smaller one less than the least normal number: 0. */
const [EXP_GREATEST, EXP_LEAST] = [88.7228, -87.3365];
const LARGEST_POWER = 127; // of 2
/** Taylor's, for up to half the logarithm of 2: off by 5e-9. Above 88.38, where 2^128 is no float32, for all of it: off by 7e-7. The highest power first. */
const EXP_TERMS = [1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1, 1];

const LEAST_NORMAL = 2 ** -126;
const LARGEST = (2 - 2 ** -23) * 2 ** 127;
const MANTISSA_BITS = 23;
const MANTISSA_MASK = 0x7fffff;
const ONE = 0x3f800000; // the bits of 1
const ROOT_OF_HALF = 0x3f3504f3; // and of sqrt(1/2), from where mantissas go to sqrt(2)
/** 2 atanh(s) / s as a series of s², for s up to 0.172: off by 1e-8. */
const ATANH_TERMS = [2 / 9, 2 / 7, 2 / 5, 2 / 3, 2];

/** The rational approximation of tanh that Eigen uses for float32; beyond the limit tanh is 1. */
const TANH_LIMIT = 7.90531110763549805;
const TANH_NUMERATOR = [
  -2.76076847742355e-16, 2.00018790482477e-13, -8.60467152213735e-11, 5.12229709037114e-8, 1.48572235717979e-5,
  6.37261928875436e-4, 4.89352455891786e-3,
];
const TANH_DENOMINATOR = [1.19825839466702e-6, 1.18534705686654e-4, 2.268434632439e-3, 4.89352518554385e-3];

/** Computes exp: 2 to a whole power, times a polynomial of what is left. */
export function exp({ numpy, lax }: typeof Jax, x: JaxArray): JaxArray {
  const nearest = numpy.floor(x.ref.mul(1 / Math.LN2).add(0.5));
  const power = numpy.clip(nearest, -LARGEST_POWER + 1, LARGEST_POWER);
  const left = x.ref.sub(power.ref.mul(LN2_HIGH)).sub(power.ref.mul(LN2_LOW));
  const bits = numpy.leftShift(power.astype(numpy.int32).add(LARGEST_POWER), whole(numpy, MANTISSA_BITS));
  const result = polynomial(left, EXP_TERMS).mul(lax.bitcastConvertType(bits, numpy.float32));
  const finite = numpy.where(x.ref.less(EXP_LEAST), 0, result);
  return numpy.where(x.greater(EXP_GREATEST), Infinity, finite);
}

/** Computes log: the power of two by the exponent, and twice an area tangent of the mantissa. */
export function log({ numpy, lax }: typeof Jax, x: JaxArray): JaxArray {
  const raised = lax.bitcastConvertType(x.ref, numpy.int32).add(whole(numpy, ONE - ROOT_OF_HALF));
  const power = numpy.rightShift(raised.ref, whole(numpy, MANTISSA_BITS)).sub(LARGEST_POWER).astype(numpy.float32);
  const mantissa = lax.bitcastConvertType(
    numpy.bitwiseAnd(raised, whole(numpy, MANTISSA_MASK)).add(whole(numpy, ROOT_OF_HALF)),
    numpy.float32,
  );
  const beyondOne = mantissa.sub(1);
  const s = beyondOne.ref.div(beyondOne.add(2));
  const part = polynomial(s.ref.mul(s.ref), ATANH_TERMS).mul(s);
  const result = power.ref.mul(LN2_HIGH).add(power.mul(LN2_LOW).add(part));
  const isNormal = numpy.logicalAnd(x.ref.greaterEqual(LEAST_NORMAL), x.ref.lessEqual(LARGEST));
  return numpy.where(isNormal, result, numpy.log(x)); // 0, what is below it, infinity, NaN
}

/** Computes tanh: the argument times a polynomial of its square over another one. */
export function tanh(jax: typeof Jax, x: JaxArray): JaxArray {
  return rational(jax, x, { limit: TANH_LIMIT, numerator: TANH_NUMERATOR, denominator: TANH_DENOMINATOR });
}

/** Computes erf, in the same way. */
export function erf(jax: typeof Jax, x: JaxArray): JaxArray {
  return rational(jax, x, { limit: ERF_LIMIT, numerator: ERF_NUMERATOR, denominator: ERF_DENOMINATOR });
}

interface Rational {
  readonly limit: number;
  /** Coefficients, the highest power first. */
  readonly numerator: readonly number[];
  readonly denominator: readonly number[];
}

function rational({ numpy }: typeof Jax, value: JaxArray, { limit, numerator, denominator }: Rational): JaxArray {
  const x = numpy.clip(value, -limit, limit);
  const square = numpy.multiply(x.ref, x.ref);
  return numpy.divide(numpy.multiply(x, polynomial(square.ref, numerator)), polynomial(square, denominator));
}

/** An int32 scalar: a plain number goes through float32, or is refused. */
function whole({ array, int32 }: typeof Jax.numpy, value: number): JaxArray {
  return array(value, { dtype: int32 });
}

function polynomial(x: JaxArray, [first = 0, ...others]: readonly number[]): JaxArray {
  let value: JaxArray | number = first;
  for (const coefficient of others) value = x.ref.mul(value).add(coefficient);
  x.dispose();
  if (typeof value === "number") throw new RangeError("Cannot compute polynomial: it is a constant");
  return value;
}
