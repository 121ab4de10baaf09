// LZ4's block format (https://github.com/lz4/lz4/blob/dev/doc/lz4_Block_format.md), held to the length that is expected.

const MIN_MATCH = 4;

/**
 * Inflates `input` into exactly the bytes of `target`.
 *
 * Says what is wrong, `undefined` when nothing is.
 */
export function inflateLz4Block(input: Uint8Array, target: Uint8Array): string | undefined {
  let position = 0;
  let filled = 0;
  function longer(count: number): number {
    let total = count;
    if (count < 15) return total;
    for (;;) {
      const byte = input[position++];
      if (byte === undefined) return Infinity;
      total += byte;
      if (byte < 255) return total;
    }
  }
  while (position < input.length) {
    const token = input[position++] as number;
    const literals = longer(token >>> 4);
    if (literals > input.length - position || literals > target.length - filled) return "a literal is too long";
    target.set(input.subarray(position, position + literals), filled);
    position += literals;
    filled += literals;
    // The last sequence has no match.
    if (position === input.length) break;
    if (position + 2 > input.length) return "an offset is cut off";
    const offset = (input[position] as number) + (input[position + 1] as number) * 256;
    position += 2;
    const count = longer(token & 15) + MIN_MATCH;
    if (offset === 0 || offset > filled) return "an offset leads before the start";
    if (count > target.length - filled) return "a match is too long";
    for (const end = filled + count; filled < end; filled++) target[filled] = target[filled - offset] as number;
  }
  return filled === target.length ? undefined : `it gives ${filled} bytes, not ${target.length}`;
}
