// 16-bit floating point numbers as their bits: IEEE 754 binary16 (`float16`) and its 8-bit-exponent sibling (`bfloat16`).

/** How the 16 bits are divided. One bit is the sign. */
interface Layout {
  readonly fractionBits: number;
  /** The exponent of 1 is stored as this. */
  readonly bias: number;
}

const layouts = {
  float16: { fractionBits: 10, bias: 15 },
  bfloat16: { fractionBits: 7, bias: 127 },
} as const satisfies Record<string, Layout>;

/** The dtypes that tensors keep as their 16 bits. */
export type HalfDType = keyof typeof layouts;

const doubleBits = new DataView(new ArrayBuffer(8));

/** Says whether a dtype is kept as 16 bits. */
export function isHalfDType(dtype: string): dtype is HalfDType {
  return Object.hasOwn(layouts, dtype);
}

/** Decodes the bits of a 16-bit float. Exact. */
export function decodeHalf(dtype: HalfDType, bits: number): number {
  const { fractionBits, bias } = layouts[dtype];
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits & 0x7fff) >> fractionBits;
  const fraction = bits & ((1 << fractionBits) - 1);
  if (exponent === 2 * bias + 1) return fraction === 0 ? sign * Infinity : NaN;
  if (exponent === 0) return sign * fraction * 2 ** (1 - bias - fractionBits);
  return sign * (fraction + (1 << fractionBits)) * 2 ** (exponent - bias - fractionBits);
}

/** Encodes a number as the bits of a 16-bit float: to nearest, ties to even; infinite beyond its range. */
export function encodeHalf(dtype: HalfDType, value: number): number {
  const { fractionBits, bias } = layouts[dtype];
  const infinity = (2 * bias + 1) << fractionBits;
  if (Number.isNaN(value)) return infinity | (1 << (fractionBits - 1));
  const sign = Object.is(value, -0) || value < 0 ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  const exponent = Math.max(exponentOf(magnitude), 1 - bias); // below that numbers are subnormal, with the smallest exponent's spacing
  if (exponent > bias) return sign | infinity;
  const steps = roundHalfEven(magnitude / 2 ** (exponent - fractionBits));
  // A subnormal has no hidden bit, so its steps are its bits. Rounding up to the next power of two carries into the exponent.
  const encoded = ((exponent + bias - 1) << fractionBits) + steps;
  return sign | Math.min(encoded, infinity);
}

/**
 * Rounds float32 numbers to those of a 16-bit float, as {@link encodeHalf} and {@link decodeHalf} would, many at a time.
 *
 * @returns new memory; the given numbers stay.
 */
export function roundToHalf(dtype: HalfDType, values: ArrayLike<number>): Float32Array<ArrayBuffer> {
  const rounded = Float32Array.from(values);
  const bits = new Uint32Array(rounded.buffer);
  const { fractionBits, bias } = layouts[dtype];
  const dropped = 23 - fractionBits;
  const half = (1 << (dropped - 1)) - 1;
  const smallest = 2 ** (1 - bias); // of the numbers with a hidden bit
  const spacing = smallest / 2 ** fractionBits;
  const end = 2 ** (bias + 1);
  for (let i = 0; i < rounded.length; i++) {
    const value = rounded[i] ?? 0;
    const magnitude = Math.abs(value);
    if (magnitude < smallest) {
      rounded[i] = roundHalfEven(magnitude / spacing) * (value < 0 || Object.is(value, -0) ? -spacing : spacing);
    } else if (magnitude < Infinity) {
      // The sum carries into the fraction that is kept, and from there into the exponent.
      const all = bits[i] ?? 0;
      bits[i] = ((all + half + ((all >>> dropped) & 1)) >>> dropped) << dropped;
      if (Math.abs(rounded[i] ?? 0) >= end) rounded[i] = value < 0 ? -Infinity : Infinity;
    }
  }
  return rounded;
}

/** The power of two at or below a number; -1023 for 0 and for the subnormal doubles, 1024 for infinity. */
function exponentOf(magnitude: number): number {
  doubleBits.setFloat64(0, magnitude);
  return (doubleBits.getUint16(0) >> 4) - 1023;
}

function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1;
  return floor % 2 === 0 ? floor : floor + 1;
}
