import { readdirSync, readFileSync } from "node:fs";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import type { Tensor } from "../../src/core/tensor.ts";
import { decodeImage, type DecodeImageSettings } from "../../src/transforms/index.ts";
import { apply, sampleOf } from "./samples.ts";

const FOLDER = "fixtures/images";
// libjpeg-turbo's fast DCT, and in progressive ones the block smoothing that it has and Pillow has not.
const JPEG_LEVELS = 4;
const CHROMA_LEVELS = 10; // where chroma is subsampled, its upsampling and the fast DCT add up in single pixels
const files = readdirSync(FOLDER);
const encoded = files.filter((file) => files.includes(`${file}.rgb.png`));

function decode(bytes: Uint8Array, settings?: DecodeImageSettings): Tensor {
  return apply(decodeImage("x", settings), sampleOf({ x: bytes })).features["x"] as Tensor;
}

function read(file: string): Uint8Array {
  return readFileSync(`${FOLDER}/${file}`);
}

/** The pixels of an 8-bit PNG that Pillow wrote, as sharp decodes them. */
async function expected(file: string, channels: number): Promise<{ shape: number[]; data: Uint8Array }> {
  const image = sharp(read(file));
  const chosen = channels === 1 ? image.toColourspace("b-w") : image;
  const { data, info } = await chosen.raw().toBuffer({ resolveWithObject: true });
  expect(info.channels).toBe(channels);
  return { shape: [info.height, info.width, info.channels], data: new Uint8Array(data) };
}

function worst(a: ArrayLike<number | bigint>, b: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < b.length; i++) most = Math.max(most, Math.abs(Number(a[i]) - (b[i] as number)));
  return most;
}

function levels(file: string): number {
  if (!file.endsWith(".jpg")) return 0;
  return /full-chroma|gray|turned/.test(file) ? JPEG_LEVELS : CHROMA_LEVELS;
}

describe("decodeImage()", () => {
  test.each(encoded)("%s has the pixels that Pillow decodes", async (file) => {
    const wanted = await expected(`${file}.rgb.png`, 3);
    const { dtype, shape, data } = decode(read(file));
    expect({ dtype, shape }).toEqual({ dtype: "uint8", shape: wanted.shape });
    expect(worst(data, wanted.data)).toBeLessThanOrEqual(levels(file));
  });

  test.each(files.filter((file) => file.endsWith(".rgba.png")))("channels rgba: %s", async (file) => {
    const wanted = await expected(file, 4);
    const { shape, data } = decode(read(file.replace(".rgba.png", "")), { channels: "rgba" });
    expect(shape).toEqual(wanted.shape);
    expect(worst(data, wanted.data)).toBe(0);
  });

  test.each(files.filter((file) => file.endsWith(".jpg.gray.png")))("channels gray: %s", async (file) => {
    const wanted = await expected(file, 1);
    const { shape, data } = decode(read(file.replace(".gray.png", "")), { channels: "gray" });
    expect(shape).toEqual(wanted.shape);
    expect(worst(data, wanted.data)).toBeLessThanOrEqual(JPEG_LEVELS);
  });

  test.each([
    ["baseline.jpg", 3],
    ["gray.jpg", 1],
    ["gray.png", 1],
    ["bits.png", 1],
    ["gray-alpha.png", 2],
    ["palette-8.png", 3],
    ["palette-alpha.png", 4],
    ["alpha.webp", 4],
  ])("channels keep: %s has %i", (file, channels) => {
    expect(decode(read(file), { channels: "keep" }).shape[2]).toBe(channels);
  });

  test.each([2, 3, 4, 5, 6, 7, 8])("orient turns an image of Exif orientation %i upright", async (orientation) => {
    const file = `turned-${orientation}.jpg`;
    const wanted = await expected(`${file}.upright.png`, 3);
    const { shape, data } = decode(read(file), { orient: true });
    expect(shape).toEqual(wanted.shape);
    expect(worst(data, wanted.data)).toBeLessThanOrEqual(JPEG_LEVELS);
  });

  test.each(["baseline.jpg", "progressive.jpg", "alpha.png", "interlaced.png", "palette-4.png"])(
    "%s, cut at every byte, is an error with the sample's place",
    (file) => {
      const bytes = read(file);
      for (let length = 0; length < bytes.length; length++) {
        let error: unknown;
        try {
          decode(bytes.subarray(0, length));
        } catch (caught) {
          error = caught;
        }
        expect(error, `cut at ${length}`).toMatchObject({
          code: expect.stringMatching(/^(truncated|format|unsupported)$/) as string,
          at: { source: "a.npy", record: 5 },
        });
      }
    },
  );

  test.each(["lossless.webp", "lzw.tiff", "two.gif"])("%s, cut in the middle, is an error", (file) => {
    const bytes = read(file);
    expect(() => decode(bytes.subarray(0, bytes.length >> 1))).toThrow(
      expect.objectContaining({ code: expect.stringMatching(/^(truncated|format|unsupported)$/) as string }),
    );
  });

  test("a flipped bit of a PNG is an error", () => {
    const bytes = new Uint8Array(read("gray.png"));
    for (let byte = 0; byte < bytes.length; byte += 7) {
      const flipped = new Uint8Array(bytes);
      flipped[byte] = (flipped[byte] as number) ^ 4;
      expect(() => decode(flipped), `byte ${byte}`).toThrow(expect.objectContaining({ name: "KdataError" }));
    }
  });

  test.each(["baseline.jpg", "gray.png", "lossless.webp"])("%s of more pixels than allowed is refused", (file) => {
    expect(() => decode(read(file), { pixels: 1000 })).toThrow(
      expect.objectContaining({
        code: "limit",
        message: "Cannot decode 'x': its 37 × 29 pixels exceed the limit of 1000 (a.npy, record 5)",
      }),
    );
  });

  test("a PNG that declares pixels which its bytes cannot hold is refused before it is inflated", () => {
    const bytes = Buffer.from(read("gray.png"));
    bytes.writeUInt32BE(9000, 16);
    bytes.writeUInt32BE(9000, 20);
    expect(() => decode(bytes)).toThrow(expect.objectContaining({ code: "checksum" }));
  });

  test("what is no image, or of no kind that is read, is refused", () => {
    expect(() => decode(new TextEncoder().encode("no image"))).toThrow(
      expect.objectContaining({ code: "unsupported" }),
    );
    expect(() => decode(read("photo.bmp"))).toThrow(expect.objectContaining({ code: "unsupported" }));
    expect(() => apply(decodeImage("x"), sampleOf({ x: "text" }))).toThrow(
      expect.objectContaining({ message: "Cannot decode 'x': it is string, not bytes (a.npy, record 5)" }),
    );
  });

  test("refuses options that there are not", () => {
    expect(() => decodeImage("x", { chanels: "rgb" } as DecodeImageSettings)).toThrow(
      expect.objectContaining({ code: "usage", hint: "did you mean 'channels'?" }),
    );
    expect(() => decodeImage("x", { channels: "grey" as "gray" })).toThrow(
      expect.objectContaining({ hint: "did you mean 'gray'?" }),
    );
    expect(() => decodeImage("x", { pixels: 0 })).toThrow(RangeError);
  });
});
