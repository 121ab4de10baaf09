// Snappy's raw format (https://github.com/google/snappy/blob/main/format_description.txt), held to the length that is expected.

/**
 * Inflates `input` into exactly the bytes of `target`.
 *
 * Says what is wrong, `undefined` when nothing is.
 */
export function inflateSnappy(input: Uint8Array, target: Uint8Array): string | undefined {
  const head = readLength(input);
  if (head === undefined) return "its length is cut off";
  const [length, start] = head;
  if (length !== target.length) return `it says ${length} bytes, not ${target.length}`;
  let position = start;
  let filled = 0;
  while (position < input.length) {
    const tag = input[position++] as number;
    const kind = tag & 3;
    let count = tag >>> 2;
    if (kind === 0) {
      if (count >= 60) {
        const wide = count - 59;
        if (position + wide > input.length) return "a length is cut off";
        count = littleEndian(input, position, wide);
        position += wide;
      }
      count++;
      if (count > input.length - position || count > target.length - filled) return "a literal is too long";
      copyLiteral(input, position, target, filled, count);
      position += count;
      filled += count;
      continue;
    }
    const wide = kind === 1 ? 1 : kind === 2 ? 2 : 4;
    if (position + wide > input.length) return "an offset is cut off";
    let offset = littleEndian(input, position, wide);
    position += wide;
    if (kind === 1) {
      offset += (tag >>> 5) << 8;
      count &= 7;
      count += 4;
    } else {
      count++;
    }
    if (offset === 0 || offset > filled) return "an offset leads before the start";
    if (count > target.length - filled) return "a copy is too long";
    // Byte by byte: what is copied may be what this copy makes.
    for (const end = filled + count; filled < end; filled++) target[filled] = target[filled - offset] as number;
  }
  return filled === target.length ? undefined : `it gives ${filled} bytes, not ${target.length}`;
}

function readLength(input: Uint8Array): readonly [length: number, start: number] | undefined {
  let length = 0;
  for (let i = 0; i < 5; i++) {
    const byte = input[i];
    if (byte === undefined) return undefined;
    length += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return [length, i + 1];
  }
  return undefined;
}

function littleEndian(input: Uint8Array, position: number, bytes: number): number {
  let value = 0;
  for (let i = bytes - 1; i >= 0; i--) value = value * 256 + (input[position + i] as number);
  return value;
}

/** A short copy by a loop is faster than a call. */
function copyLiteral(input: Uint8Array, from: number, target: Uint8Array, to: number, count: number): void {
  if (count > 32) {
    target.set(input.subarray(from, from + count), to);
    return;
  }
  for (let i = 0; i < count; i++) target[to + i] = input[from + i] as number;
}
