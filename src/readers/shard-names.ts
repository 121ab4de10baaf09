// Paths taken apart for the names of shards.

import { dirname, resolve } from "node:path";

/** A path, taken apart. */
export interface PathParts {
  /** Up to the name of the file, with the last separator: `data/`. */
  readonly prefix: string;
  /** The directory under a name that can name outputs: absolute where it would be `.` or end in `..`. */
  readonly directory: string;
  readonly file: string;
}

/** Takes a path apart at its last separator. */
export function splitPath(path: string): PathParts {
  const end = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1;
  const directory = dirname(path);
  return {
    prefix: path.slice(0, end),
    directory: /(?:^|[/\\])\.\.?$/.test(directory) ? resolve(directory) : directory,
    file: path.slice(end),
  };
}
