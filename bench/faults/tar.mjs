// Takes tar archives apart into their members and puts others together.

export const BLOCK_BYTES = 512;
const RECORD_BYTES = 20 * BLOCK_BYTES; // what archives are filled up to
const SUM = { start: 148, end: 156 };
const SIZE = { start: 124, end: 136 };
/** Types of headers that belong to the header after them: pax, pax of all, GNU long names. */
const ATTACHED = ["x", "g", "L", "K"];

/**
 * Takes an archive apart up to its end, or to what is no header: `{ key, bytes }` for each member with all its headers. The key is what
 * webdataset groups by.
 */
export function membersOf(archive) {
  const members = [];
  let start = 0;
  for (let position = 0; position < archive.length && archive[position] !== 0;) {
    const header = archive.subarray(position, position + BLOCK_BYTES);
    const size = parseInt(header.toString("latin1", SIZE.start, SIZE.end), 8);
    if (!Number.isInteger(size)) break;
    position += BLOCK_BYTES * (1 + Math.ceil(size / BLOCK_BYTES));
    if (ATTACHED.includes(String.fromCharCode(header[156]))) continue;
    const name = header.toString("latin1", 0, header.indexOf(0));
    members.push({ key: keyOf(name), bytes: archive.subarray(start, position) });
    start = position;
  }
  return members;
}

/** Says whether names are in headers of their own. */
export function hasLongNames(archive) {
  return membersOf(archive).some(({ bytes }) => ATTACHED.includes(String.fromCharCode(bytes[156])));
}

/** Puts an archive together in which the members of the first two samples of more than one member take turns. */
export function interleaved(members) {
  const [first, second] = samplesOf(members).filter((sample) => sample.length > 1);
  const others = members.filter((member) => !first.includes(member) && !second.includes(member));
  const mixed = [first[0], second[0], ...first.slice(1), ...second.slice(1)];
  return archiveOf([...mixed, ...others]);
}

/** Puts an archive together with a `sample` or a `member` twice, or with a member `moved` away from its sample. */
export function repeated(members, what) {
  const [sample] = samplesOf(members).filter((each) => each.length > 1);
  if (what === "sample") return archiveOf([...members, ...sample]);
  if (what === "moved") return archiveOf([...members.filter((member) => member !== sample[0]), sample[0]]);
  return archiveOf(members.flatMap((member) => (member === sample[0] ? [member, member] : [member])));
}

/** Writes a size into a header and makes its sum right again. The size is 12 bytes as they are. */
export function withSize(archive, at, size) {
  const changed = Buffer.from(archive);
  const header = changed.subarray(at, at + BLOCK_BYTES);
  header.set(size, SIZE.start);
  header.fill(" ", SUM.start, SUM.end);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, SUM.start, "latin1");
  return changed;
}

/** Where the header of the first member that is a file begins. */
export function firstFileHeader(archive) {
  let position = 0;
  while (ATTACHED.includes(String.fromCharCode(archive[position + 156]))) {
    const size = parseInt(archive.toString("latin1", position + SIZE.start, position + SIZE.end), 8);
    position += BLOCK_BYTES * (1 + Math.ceil(size / BLOCK_BYTES));
  }
  return position;
}

function samplesOf(members) {
  const keys = [...new Set(members.map(({ key }) => key))];
  return keys.map((key) => members.filter((member) => member.key === key));
}

function keyOf(name) {
  const slash = name.lastIndexOf("/") + 1;
  const dot = name.indexOf(".", slash);
  return dot < 0 ? name : name.slice(0, dot);
}

function archiveOf(members) {
  const bytes = members.map((member) => member.bytes);
  const length = bytes.reduce((sum, each) => sum + each.length, 2 * BLOCK_BYTES);
  const filled = Math.ceil(length / RECORD_BYTES) * RECORD_BYTES;
  return Buffer.concat([...bytes, Buffer.alloc(filled - length + 2 * BLOCK_BYTES)]);
}
