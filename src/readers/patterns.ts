// Specs of data sets, expanded into files: paths, directories, brace ranges `train-{000..063}.tar`, globs, and commas between
// the files of one shard `x.npy,y.npy`. Ranges follow bash (https://www.gnu.org/software/bash/manual/html_node/Brace-Expansion.html).

import { existsSync, readdirSync, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import { expand } from "brace-expansion";
import { glob, isDynamicPattern } from "tinyglobby";
import { KdataError } from "../core/errors.ts";
import { isSidecarPath } from "./sidecar.ts";

/** A data set has fewer shards; `{0..999999999}` is a slip, and must not fill the memory. */
const MAX_EXPANSIONS = 100_000;
/** Room for that many paths. */
const MAX_EXPANDED_CHARACTERS = MAX_EXPANSIONS * 4096;

/** Files that a spec names, in order: each for itself, to be grouped by their names, or all of one shard. */
export interface FoundFiles {
  readonly oneShard: boolean;
  readonly paths: readonly string[];
}

/**
 * Expands specs into files that exist.
 *
 * What exists under the very name of a spec is that file. A directory stands for the files in it that `isDataFile` accepts by
 * their names. A glob gives its matches in the order of their code units, without the indexes that kdata keeps beside shards; a range its numbers in order. Commas outside of
 * braces and brackets join files into shards: the first files of all parts, then the second ones, and so on.
 *
 * @throws {KdataError} `input` when something that is named is missing, with the pattern that names it; `usage` when a range
 *   names too many files or parts between commas name different numbers of files.
 */
export async function expandSpec(
  spec: string | readonly string[],
  isDataFile: (file: string) => boolean,
): Promise<readonly FoundFiles[]> {
  const found: FoundFiles[] = [];
  for (const pattern of typeof spec === "string" ? [spec] : spec) {
    const parts = existsSync(pattern) ? [pattern] : splitAtCommas(pattern);
    const lists: string[][] = [];
    for (const part of parts) lists.push(await expandPattern(part, isDataFile));
    if (lists.length === 1) found.push({ oneShard: false, paths: lists.flat() });
    else found.push(...joinLists(pattern, parts, lists));
  }
  if (found.length === 0) throw new KdataError("usage", "Cannot find input: none is named");
  return found;
}

/**
 * Says whether a path is a directory that holds none of the files that `isDataFile` accepts by their names.
 *
 * @throws {KdataError} `input` when the directory cannot be read.
 */
export function isBareDirectory(path: string, isDataFile: (file: string) => boolean): boolean {
  return isDirectory(path) && !readDirectory(path).some((file) => !file.startsWith(".") && isDataFile(file));
}

/** Splits where a comma is neither in braces nor in brackets. */
function splitAtCommas(pattern: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let depth = 0;
  for (let i = 0; i < pattern.length; i++) {
    const character = pattern.charAt(i);
    if ("{[(".includes(character)) depth++;
    else if ("}])".includes(character)) depth--;
    else if (character === "," && depth <= 0) {
      parts.push(pattern.slice(start, i));
      start = i + 1;
    }
  }
  return [...parts, pattern.slice(start)];
}

async function expandPattern(pattern: string, isDataFile: (file: string) => boolean): Promise<string[]> {
  if (pattern === "") throw new KdataError("usage", "Cannot find input: a pattern is empty");
  const paths: string[] = [];
  for (const name of existsSync(pattern) ? [pattern] : expandBraces(pattern)) {
    if (existsSync(name)) paths.push(...(isDirectory(name) ? listDirectory(name, isDataFile) : [name]));
    else if (isDynamicPattern(name)) paths.push(...(await findMatches(name, pattern)));
    else
      throw missing(
        name === pattern ? "there is no such file" : `the pattern ${pattern} names it, but it is missing`,
        name,
      );
  }
  return paths;
}

function expandBraces(pattern: string): string[] {
  const names = expand(pattern, { max: MAX_EXPANSIONS + 1, maxLength: MAX_EXPANDED_CHARACTERS });
  if (names.length > MAX_EXPANSIONS) {
    throw new KdataError("usage", `Cannot find input: the pattern names more than ${MAX_EXPANSIONS} files`, {
      at: { source: pattern },
    });
  }
  return names;
}

/** Links that lead nowhere are kept: opening them says so. */
function listDirectory(directory: string, isDataFile: (file: string) => boolean): string[] {
  const files = readDirectory(directory)
    .filter((file) => !file.startsWith(".") && isDataFile(file))
    .map((file) => join(directory, file))
    .filter((path) => !isDirectory(path))
    .sort();
  if (files.length === 0) throw missing("the directory holds no file with the extension of a known format", directory);
  return files;
}

function readDirectory(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (cause) {
    throw new KdataError("input", "Cannot find input: the directory cannot be read", {
      at: { source: directory },
      cause,
    });
  }
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

async function findMatches(name: string, pattern: string): Promise<string[]> {
  const options = { absolute: isAbsolute(name), braceExpansion: false, expandDirectories: false };
  const matches = (await glob(name, options)).filter((path) => !isSidecarPath(path));
  if (matches.length === 0) throw missing("no file matches the pattern", pattern);
  return matches.sort();
}

/** The first files of all lists are one shard, then the second ones, and so on. */
function joinLists(pattern: string, parts: readonly string[], lists: readonly string[][]): FoundFiles[] {
  const [first = [], ...others] = lists;
  const other = others.findIndex((list) => list.length !== first.length);
  if (other >= 0) {
    const counts = `${parts[0]} names ${first.length} files, ${parts[other + 1]} names ${others[other]?.length}`;
    throw new KdataError("usage", `Cannot find input: ${counts}, so they do not pair up`, { at: { source: pattern } });
  }
  return first.map((path, index) => {
    return { oneShard: true, paths: [path, ...others.map((list) => list[index] as string)] };
  });
}

function missing(reason: string, source: string): KdataError {
  return new KdataError("input", `Cannot find input: ${reason}`, { at: { source } });
}
