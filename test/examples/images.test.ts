// The example of pictures: its program on shapes that sharp draws, and what it says without a network.

import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import sharp from "sharp";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { readEmoji } from "../../examples/images/emoji.ts";
import { split } from "../../examples/images/store.ts";

const PICTURES = 32; // of a class
const PROGRAM_TIMEOUT_MS = 180_000; // several trainers, beside whatever else the machine does

const shapes: Readonly<Record<string, (at: number, colour: string) => string>> = {
  disc: (at, colour) => `<circle cx="${at}" cy="20" r="9" fill="rgb(${colour},0,0)"/>`,
  bar: (at, colour) => `<rect x="${at - 3}" y="4" width="6" height="30" fill="rgb(0,${colour},0)"/>`,
  wedge: (at, colour) => `<path d="M${at} 6 l12 26 l-24 0 z" fill="rgb(0,0,${colour})"/>`,
};

let folder = "";
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "kdata-images-"));
  for (const [name, draw] of Object.entries(shapes)) {
    mkdirSync(join(folder, "shapes", name), { recursive: true });
    for (let i = 0; i < PICTURES; i++) {
      const drawn = draw(12 + ((i * 5) % 16), String(140 + ((i * 37) % 110)));
      const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40">${drawn}</svg>`;
      writeFileSync(join(folder, "shapes", name, `${i}.png`), await sharp(Buffer.from(svg)).png().toBuffer());
    }
  }
});
afterAll(() => {
  rmSync(folder, { recursive: true });
});

test.each([
  ["cnn", "png", "8", "onnx,tfjs,jax"],
  ["vit", "jpg", "6", "onnx,tfjs,jax"],
])(
  "a %s learns from pictures in %s, alike from each format and on each backend, and leaves as ONNX",
  async (model, encoding, epochs, backends) => {
    const output = join(folder, model);
    const flags = ["--model", model, "--encoding", encoding, "--epochs", epochs, "--compare", backends];
    const places = ["--data", join(folder, "shapes"), "--output", output, "--batch-size", "8", "--workers", "1"];
    const args = ["scripts/run-example.mjs", "examples/images.ts", ...flags, ...places];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toContain("3 classes:\n  bar, disc, wedge\n");
    expect(stdout.match(/^ok .*(bit-equal|agree|logits)/gm)).toHaveLength(4);
    expect(stdout).not.toContain("FAILED");
    expect(Number(/([\d.]+) % of the held-out/.exec(stdout)?.[1])).toBeGreaterThan(80);

    const { channels } = await sharp(join(output, `${model}.png`)).stats();
    expect(channels.slice(0, 3).map(({ min, max }) => [min < 64, max])).toEqual(Array(3).fill([true, 255]));
  },
  PROGRAM_TIMEOUT_MS,
);

test("the variants of one picture stay on one side of the split", () => {
  const pictures = Array.from({ length: 200 }, (_, i) => ({
    key: String(i),
    group: String(i >> 1),
    className: i % 3 === 0 ? "a" : "b",
    bytes: new Uint8Array(),
  }));
  const { classes, train, test: held } = split(pictures, 1);
  expect(classes).toEqual(["a", "b"]);
  expect(train.length + held.length).toBe(200);
  const groups = new Set(held.map(({ group }) => group));
  expect(held.length).toBe(2 * groups.size);
  expect(groups.size).toBeGreaterThan(10);
  expect(groups.size).toBeLessThan(30);
});

test("without a network the program says what else there is to do", async () => {
  vi.stubEnv("npm_config_registry", "http://127.0.0.1:9");
  vi.stubEnv("npm_config_cache", join(folder, "npm"));
  vi.stubEnv("npm_config_loglevel", "silent"); // as under `npm run --silent`: the reason is said all the same
  try {
    await expect(readEmoji(join(folder, "empty"))).rejects.toMatchObject({
      code: "package",
      message: expect.stringContaining("ECONNREFUSED") as string,
      hint: expect.stringContaining("--data DIR") as string,
    });
  } finally {
    vi.unstubAllEnvs();
  }
});

test("what was fetched is held to the package's checksum", async () => {
  const cache = join(folder, "damaged");
  mkdirSync(cache);
  writeFileSync(join(cache, "emoji-datasource-google-16.0.0.tgz"), "something else");
  await expect(readEmoji(cache)).rejects.toMatchObject({ code: "checksum" });
});
