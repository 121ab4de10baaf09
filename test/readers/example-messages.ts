// Messages of tf.train.Example, most of them of the form that the fast decoders take.

import fc from "fast-check";

/** A message in parts: how often each of them is usual decides how many messages the fast decoder takes. */
const float = fc.float().map((value) => Buffer.from(Float32Array.of(value).buffer));
const int64 = fc.oneof(fc.bigInt(-5n, 300n), fc.bigInt(-(2n ** 63n), 2n ** 63n - 1n)).map((value) => varint(value));
const usually = <T>(usual: fc.Arbitrary<T>, unusual: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ arbitrary: usual, weight: 12 }, { arbitrary: unusual, weight: 1 });
const unknown = usually(
  fc.constant(Buffer.alloc(0)),
  fc.constantFrom(Buffer.from([0x48, 1]), field(9, Buffer.from("xyz")), Buffer.from([0x4d, 1, 2, 3, 4])),
);
const floatList = usually(fc.constant(3), fc.nat(5)).chain((length) =>
  fc
    .array(float, { minLength: length, maxLength: length })
    .chain((values) =>
      usually(
        fc.constant(field(2, field(1, Buffer.concat(values)))),
        fc.constantFrom(
          field(2, Buffer.concat(values.flatMap((value) => [Buffer.from([0x0d]), value]))),
          field(2, Buffer.concat(values.map((value) => field(1, value)))),
          Buffer.concat(values.map((value) => field(2, field(1, value)))),
          field(2, field(1, Buffer.concat(values)), 1),
        ),
      ),
    ),
);
const intList = usually(fc.constant(2), fc.nat(5)).chain((length) =>
  fc
    .array(int64, { minLength: length, maxLength: length })
    .chain((values) =>
      usually(
        fc.constant(field(3, field(1, Buffer.concat(values)))),
        fc.constantFrom(
          field(3, Buffer.concat(values.flatMap((value) => [Buffer.from([0x08]), value]))),
          field(3, Buffer.concat(values.map((value) => field(1, value)))),
          field(3, field(1, Buffer.concat(values), 2)),
          field(3, field(1, Buffer.concat([...values, Buffer.from([0x80])]))),
        ),
      ),
    ),
);
/** ASCII, so that it can be a key too. */
const bytesList = fc.uint8Array({ max: 127, maxLength: 16 }).map((value) => field(1, field(1, Buffer.from(value))));
const entry = (name: string, list: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
  fc.tuple(usually(list, fc.oneof(floatList, intList, bytesList)), unknown, unknown).chain(([value, inner, outer]) => {
    const key = field(1, Buffer.from(name));
    const feature = field(2, Buffer.concat([value, inner]));
    return usually(
      fc.constant(field(1, Buffer.concat([key, feature, outer]))),
      fc.constantFrom(
        field(1, Buffer.concat([feature, key])),
        field(1, key),
        field(1, Buffer.concat([key, feature, key])),
      ),
    );
  });
const other = fc.constantFrom("", "z", "__key__", "__schema__", "xx").chain((name) => entry(name, bytesList));
/** Example messages whose usual entries are `x` of three floats and `y` of two whole numbers, and variations on them. */
export const messages = fc
  .tuple(
    entry("x", floatList),
    entry("y", intList),
    usually(fc.constant<Buffer[]>([]), fc.array(fc.oneof(other, entry("x", floatList)), { maxLength: 2 })),
    unknown,
  )
  .chain(([x, y, others, extra]) =>
    fc
      .shuffledSubarray([x, y, ...others], { minLength: 1 })
      .map((entries) => field(1, Buffer.concat([...entries, extra]))),
  );

/** A length-delimited field; `surplus` bytes more than its length needs. */
function field(number: number, content: Uint8Array, surplus = 0): Buffer {
  const length = [...varint(BigInt(content.length))];
  for (let i = 0; i < surplus; i++) {
    length.push((length.pop() ?? 0) | 0x80, 0);
  }
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), content]);
}

function varint(value: bigint): Buffer {
  const encoded: number[] = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 0x80n; rest >>= 7n) encoded.push(Number(rest & 0x7fn) | 0x80);
  return Buffer.from([...encoded, Number(rest)]);
}
