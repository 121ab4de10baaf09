// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of bytes in this module's memory. AssemblyScript: compiled by the build.
//
// Eight bytes a step through eight tables, and four parts of the bytes side by side where there are enough of them, so that the
// look-ups of one part do not wait for those of another. The checksums of the parts are joined by tables that say what a number of
// zero bytes does to a checksum. Kounavis and Berry, "A Systematic Approach to Building High Performance Software-based CRC
// Generators"; Gopal et al., "Fast CRC Computation for iSCSI Polynomial Using CRC32 Instruction".

const POLYNOMIAL: u32 = 0x82f63b78; // reversed
const TABLE_BYTES: u32 = 256 * 4;
const TABLES: usize = memory.data(8 * 256 * 4, 16);
/** Each: four tables, one for each byte of a checksum. */
const SKIP_32: usize = memory.data(4 * 256 * 4, 16);
const SKIP_256: usize = memory.data(4 * 256 * 4, 16);
const SKIP_2048: usize = memory.data(4 * 256 * 4, 16);

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
      store<u32>(TABLES + table * TABLE_BYTES + (byte << 2), crc);
    }
  }
  prepareSkip(SKIP_32, 32);
  prepareSkip(SKIP_256, 256);
  prepareSkip(SKIP_2048, 2048);
}

function prepareSkip(tables: usize, zeros: u32): void {
  for (let byte: u32 = 0; byte < 4; byte++) {
    for (let value: u32 = 0; value < 256; value++) {
      let crc = value << (byte << 3);
      for (let i: u32 = 0; i < zeros; i++) crc = load<u32>(TABLES + ((crc & 0xff) << 2)) ^ (crc >>> 8);
      store<u32>(tables + byte * TABLE_BYTES + (value << 2), crc);
    }
  }
}

/** One step: what eight bytes make of a checksum. */
// @ts-expect-error AssemblyScript decorator
@inline
function step(crc: u32, at: usize): u32 {
  const bytes = load<u64>(at) ^ (crc as u64);
  const low = bytes as u32;
  const high = (bytes >>> 32) as u32;
  return (
    load<u32>(TABLES + 7 * TABLE_BYTES + ((low & 0xff) << 2)) ^
    load<u32>(TABLES + 6 * TABLE_BYTES + (((low >>> 8) & 0xff) << 2)) ^
    load<u32>(TABLES + 5 * TABLE_BYTES + (((low >>> 16) & 0xff) << 2)) ^
    load<u32>(TABLES + 4 * TABLE_BYTES + ((low >>> 24) << 2)) ^
    load<u32>(TABLES + 3 * TABLE_BYTES + ((high & 0xff) << 2)) ^
    load<u32>(TABLES + 2 * TABLE_BYTES + (((high >>> 8) & 0xff) << 2)) ^
    load<u32>(TABLES + 1 * TABLE_BYTES + (((high >>> 16) & 0xff) << 2)) ^
    load<u32>(TABLES + ((high >>> 24) << 2))
  );
}

// @ts-expect-error AssemblyScript decorator
@inline
function skip(tables: usize, crc: u32): u32 {
  return (
    load<u32>(tables + ((crc & 0xff) << 2)) ^
    load<u32>(tables + TABLE_BYTES + (((crc >>> 8) & 0xff) << 2)) ^
    load<u32>(tables + 2 * TABLE_BYTES + (((crc >>> 16) & 0xff) << 2)) ^
    load<u32>(tables + 3 * TABLE_BYTES + ((crc >>> 24) << 2))
  );
}

/** What four parts of `part` bytes each make of a checksum; `tables` skip one part. */
// @ts-expect-error AssemblyScript decorator
@inline
function fourParts(crc: u32, start: usize, part: usize, tables: usize): u32 {
  let a = crc;
  let b: u32 = 0;
  let c: u32 = 0;
  let d: u32 = 0;
  for (let at = start, end = start + part; at < end; at += 8) {
    a = step(a, at);
    b = step(b, at + part);
    c = step(c, at + 2 * part);
    d = step(d, at + 3 * part);
  }
  return skip(tables, skip(tables, skip(tables, a) ^ b) ^ c) ^ d;
}

/** Goes on with the checksum `crc` of earlier bytes over `[start, end)`; the first one and the last are inverted by the caller. */
export function update(crc: u32, start: usize, end: usize): u32 {
  let at = start;
  for (; at + 4 * 2048 <= end; at += 4 * 2048) crc = fourParts(crc, at, 2048, SKIP_2048);
  for (; at + 4 * 256 <= end; at += 4 * 256) crc = fourParts(crc, at, 256, SKIP_256);
  for (; at + 4 * 32 <= end; at += 4 * 32) crc = fourParts(crc, at, 32, SKIP_32);
  for (; at + 8 <= end; at += 8) crc = step(crc, at);
  for (; at < end; at++) crc = load<u32>(TABLES + (((crc ^ load<u8>(at)) & 0xff) << 2)) ^ (crc >>> 8);
  return crc;
}
