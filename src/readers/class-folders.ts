// The files of a directory whose subdirectories are classes, in the order of torchvision's ImageFolder.
// https://docs.pytorch.org/vision/stable/generated/torchvision.datasets.ImageFolder.html

import { readdirSync, realpathSync, statSync, type Dirent } from "node:fs";
import { join, relative, sep } from "node:path";
import { KdataError } from "../core/errors.ts";

/**
 * Lists the data files under the subdirectories of `root`: classes by name, in a class files before those of its
 * subdirectories, all in the order of their code points. Hidden files, and files that `isDataFile` does not accept, are passed
 * over. `undefined` when no subdirectory has a data file right in it.
 *
 * Links are followed to files under `root` only.
 *
 * @throws {KdataError} `input` for a class without data files, a data file beside the classes, a link that leads nowhere, and
 *   a directory that cannot be read; `unsupported` for links to directories and out of `root`.
 */
export function listClassFolders(root: string, isDataFile: (file: string) => boolean): readonly string[] | undefined {
  const entries = visibleEntries(root);
  const classes = entries.filter((entry) => entry.isDirectory());
  if (!classes.some(({ name }) => visibleEntries(join(root, name)).some((entry) => isDataFile(entry.name)))) {
    return undefined;
  }
  const realRoot = realpathSync(root);
  for (const entry of entries) {
    const path = join(root, entry.name);
    if (entry.isSymbolicLink()) checkLink(path, realRoot);
    if (!entry.isDirectory() && isDataFile(entry.name)) {
      const reason = "Cannot find input: the file lies beside the classes, so it has none";
      throw new KdataError("input", reason, { at: { source: path } });
    }
  }
  return classes.flatMap(({ name }) => {
    const files = listTree(join(root, name), realRoot, isDataFile);
    if (files.length > 0) return files;
    throw new KdataError("input", "Cannot find input: the class has no files", { at: { source: join(root, name) } });
  });
}

function listTree(top: string, realRoot: string, isDataFile: (file: string) => boolean): string[] {
  const directories = [top];
  const files: string[] = [];
  // The directories that are found are added at the end.
  for (const directory of directories) {
    for (const entry of visibleEntries(directory)) {
      if (entry.isDirectory()) directories.push(join(directory, entry.name));
    }
  }
  // os.walk's paths are sorted as text, so that "a-b" comes before "a/b".
  for (const directory of directories.sort(byCodePoint)) {
    for (const entry of visibleEntries(directory)) {
      const path = join(directory, entry.name);
      if (entry.isSymbolicLink()) checkLink(path, realRoot);
      if (!entry.isDirectory() && isDataFile(entry.name)) files.push(path);
    }
  }
  return files;
}

function visibleEntries(directory: string): Dirent[] {
  try {
    const entries = readdirSync(directory, { withFileTypes: true });
    return entries.filter(({ name }) => !name.startsWith(".")).sort((a, b) => byCodePoint(a.name, b.name));
  } catch (cause) {
    const reason = "Cannot find input: the directory cannot be read";
    throw new KdataError("input", reason, { at: { source: directory }, cause });
  }
}

/** Refuses what could make files appear twice, or show what is not part of the data set. */
function checkLink(path: string, realRoot: string): void {
  const at = { source: path };
  const status = statSync(path, { throwIfNoEntry: false });
  if (!status) throw new KdataError("input", "Cannot find input: the link leads nowhere", { at });
  if (status.isDirectory()) throw new KdataError("unsupported", "Cannot read folder: a link to a directory", { at });
  const target = relative(realRoot, realpathSync(path));
  if (target.startsWith(`..${sep}`) || target.startsWith(sep) || /^[A-Za-z]:/.test(target)) {
    throw new KdataError("unsupported", "Cannot read folder: the link leads out of the folder", {
      at,
      hint: "Copy the file, or name the folder that it is in.",
    });
  }
}

/** As Python sorts: UTF-8 keeps the order of code points, UTF-16 does not. */
function byCodePoint(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
