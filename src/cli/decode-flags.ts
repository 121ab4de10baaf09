// The flags that say how records are decoded and which errors are passed over, for every verb that reads a data set.

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { KdataError } from "../core/errors.ts";
import type { FeatureSelection } from "../readers/feature-spec.ts";
import type { DecodeOptions, Tolerance } from "../readers/format.ts";
import { pickDecoding, toleranceChoices, toleranceNames, type ToleranceName } from "../readers/tolerance.ts";

const MESSAGES = ["example", "sequence-example", "raw"] as const;
/** What ends the name of a file with a spec: no list of names ends in it by chance. */
const SPEC_SUFFIX = ".json";

const toleranceSummaries: Readonly<Record<ToleranceName, string>> = {
  strayMembers: "files in a tar archive that are of no sample",
  repeatedKeys: "keys in a tar archive that come again after others",
  missingEnd: "a tar archive without the zeros that end it",
  trailingBytes: "bytes behind the end of an archive or an array",
  badHeader: "a header whose checksum does not match",
};

/** What the flags of {@link addDecodeFlags} are parsed to. */
export interface DecodeFlags extends Tolerance {
  readonly features?: string;
  readonly message?: (typeof MESSAGES)[number];
}

/** Adds `--features`, `--message` and a flag for each error that may be relaxed. */
export function addDecodeFlags(command: Command): Command {
  const group = "Reading:";
  command
    .addOption(
      command
        .createOption(
          "--features <names>",
          "read only these: a,b; or a file of specs, as docs/formats.md has them: spec.json",
        )
        .helpGroup(group),
    )
    .addOption(
      command.createOption("--message <kind>", "what TFRecord records hold").choices(MESSAGES).helpGroup(group),
    );
  for (const name of toleranceNames) {
    const flag = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    command.addOption(
      command
        .createOption(`--${flag} <choice>`, toleranceSummaries[name])
        .choices(toleranceChoices[name])
        .helpGroup(group),
    );
  }
  return command;
}

/**
 * Picks what the flags say.
 *
 * @throws {KdataError} `input` when the file of specs cannot be read, `usage` when it is no JSON object.
 */
export function decodeOptionsOf({ features, ...flags }: DecodeFlags): DecodeOptions {
  return pickDecoding({ ...flags, ...(features !== undefined && { features: parseFeatures(features) }) });
}

function parseFeatures(text: string): FeatureSelection {
  if (!text.endsWith(SPEC_SUFFIX)) return text.split(",").map((name) => name.trim());
  const at = { source: text };
  let json: string;
  try {
    json = readFileSync(text, "utf8");
  } catch (cause) {
    throw new KdataError("input", "Cannot read --features: the file cannot be read", { at, cause });
  }
  try {
    const specs: unknown = JSON.parse(json);
    // What is in a spec is checked where it is resolved.
    if (typeof specs === "object" && specs !== null) return specs as FeatureSelection;
  } catch (cause) {
    throw new KdataError("usage", "Cannot read --features: the file is not JSON", { at, cause });
  }
  throw new KdataError("usage", "Cannot read --features: the file holds neither names nor specs", { at });
}
