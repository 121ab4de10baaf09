import { expect, test } from "vitest";
import { crc32c, maskedCrc32c } from "../../src/readers/crc32c.ts";

// RFC 3720, appendix B.4; and the check value of the CRC catalogue.
test.each<[string, Uint8Array, number]>([
  ["32 bytes of zeros", new Uint8Array(32), 0x8a9136aa],
  ["32 bytes of ones", new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ["32 bytes that count up", Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  ["32 bytes that count down", Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
  ["an iSCSI read command", Uint8Array.from(Buffer.from(readCommand(), "hex")), 0xd9963a56],
  ["123456789", new TextEncoder().encode("123456789"), 0xe3069283],
  ["nothing", new Uint8Array(0), 0],
])("crc32c() gives the published value for %s", (_what, bytes, published) => {
  expect(crc32c(viewOf(bytes))).toBe(published);
});

test("crc32c() of any part and alignment is what a bit at a time gives", () => {
  const bytes = Uint8Array.from({ length: 80 }, (_, i) => (i * 167 + 13) & 0xff);
  for (let start = 0; start < 20; start++) {
    for (let end = start; end <= bytes.length; end++) {
      expect(crc32c(viewOf(bytes), start, end)).toBe(bitwiseCrc32c(bytes.subarray(start, end)));
    }
  }
});

test.each([511, 512, 1023, 1024, 1151, 8191, 8192, 8200, 10_000, 65_535, 65_536, 65_537, 140_001])(
  "crc32c() of %i bytes is what a bit at a time gives",
  (length) => {
    const bytes = Uint8Array.from({ length: length + 3 }, (_, i) => Math.imul(i, 2654435761) >>> 13);
    expect(crc32c(viewOf(bytes), 3)).toBe(bitwiseCrc32c(bytes.subarray(3)));
  },
);

test("maskedCrc32c() gives what TensorFlow writes around an empty record", () => {
  // TFRecordWriter("e").write(b"") writes 0000000000000000 29039807 d8ea82a2.
  expect(maskedCrc32c(viewOf(new Uint8Array(8)))).toBe(0x07980329);
  expect(maskedCrc32c(viewOf(new Uint8Array(0)))).toBe(0xa282ead8);
});

function readCommand(): string {
  return "01c000000000000000000000000000001400000000000400000000140000001828000000000000000200000000000000";
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}

function bitwiseCrc32c(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
