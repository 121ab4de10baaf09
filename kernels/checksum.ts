// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of bytes in this module's memory. AssemblyScript: compiled by the build.

const POLYNOMIAL: u32 = 0x82f63b78; // reversed
const TABLES: usize = memory.data(8 * 256 * 4, 16);

/** Gives the first byte that this module does not use. */
export function heapBase(): usize {
  return __heap_base;
}

/** Fills the tables; called once by the host. */
export function prepare(): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    store<u32>(TABLES + (byte << 2), crc);
  }
  for (let byte: u32 = 0; byte < 256; byte++) {
    let crc = load<u32>(TABLES + (byte << 2));
    for (let table: u32 = 1; table < 8; table++) {
      crc = load<u32>(TABLES + ((crc & 0xff) << 2)) ^ (crc >>> 8);
      store<u32>(TABLES + (table << 10) + (byte << 2), crc);
    }
  }
}

// @ts-expect-error AssemblyScript decorator
@inline
function at(table: u32, byte: u32): u32 {
  return load<u32>(TABLES + (table << 10) + (byte << 2));
}

/** Computes the checksum of `[start, end)`. */
export function crc32c(start: usize, end: usize): u32 {
  let crc: u32 = 0xffffffff;
  let i = start;
  for (; i + 8 <= end; i += 8) {
    const a = crc ^ load<u32>(i);
    const b = load<u32>(i, 4);
    crc =
      at(7, a & 0xff) ^
      at(6, (a >>> 8) & 0xff) ^
      at(5, (a >>> 16) & 0xff) ^
      at(4, a >>> 24) ^
      at(3, b & 0xff) ^
      at(2, (b >>> 8) & 0xff) ^
      at(1, (b >>> 16) & 0xff) ^
      at(0, b >>> 24);
  }
  for (; i < end; i++) crc = at(0, (crc ^ load<u8>(i)) & 0xff) ^ (crc >>> 8);
  return ~crc;
}
