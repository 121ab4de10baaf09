// How encoded pictures, sounds and other files begin: https://mimesniff.spec.whatwg.org/#matching-an-image-type-pattern and
// the sections after it. Shared by what describes bytes and what names them.

/** A kind of file and its first bytes. */
export interface MediaSignature {
  readonly type: string;
  /** The extension of a WebDataset member with such bytes, where it has one of its own. */
  readonly ext?: string;
}

interface Signature extends MediaSignature {
  readonly offset: number;
  /** One character a byte. */
  readonly magic: string;
}

const signatures: readonly Signature[] = [
  { type: "image/jpeg", ext: "jpg", offset: 0, magic: "\xff\xd8\xff" },
  { type: "image/png", ext: "png", offset: 0, magic: "\x89PNG\r\n\x1a\n" },
  { type: "image/gif", ext: "gif", offset: 0, magic: "GIF8" },
  { type: "image/webp", ext: "webp", offset: 8, magic: "WEBP" },
  { type: "audio/flac", ext: "flac", offset: 0, magic: "fLaC" },
  { type: "audio/wav", ext: "wav", offset: 8, magic: "WAVE" },
  { type: "audio/ogg", offset: 0, magic: "OggS" },
  { type: "audio/mpeg", offset: 0, magic: "ID3" },
  { type: "video/mp4", offset: 4, magic: "ftyp" },
  { type: "application/gzip", offset: 0, magic: "\x1f\x8b\x08" },
  { type: "application/zip", offset: 0, magic: "PK\x03\x04" },
  { type: "application/pdf", offset: 0, magic: "%PDF-" },
];

/** Finds what encoded bytes are by their first ones; `undefined` when they are of none of the kinds that data sets hold. */
export function findMediaSignature(bytes: Uint8Array): MediaSignature | undefined {
  return signatures.find(({ offset, magic }) => startsWith(bytes, offset, magic));
}

function startsWith(bytes: Uint8Array, offset: number, magic: string): boolean {
  for (let i = 0; i < magic.length; i++) {
    if (bytes[offset + i] !== magic.charCodeAt(i)) return false;
  }
  return true;
}
