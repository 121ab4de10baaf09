// "Did you mean": the allowed name that a misspelt one is closest to, by the edit distance of Levenshtein (1966).

/**
 * Finds the allowed name closest to a misspelt one, or nothing when none is close: at most a third of its characters wrong,
 * and always one of them.
 *
 * @example
 * assert.equal(nearestName("tfrecrod", ["tfrecord", "npy"]), "tfrecord");
 */
export function nearestName(name: string, allowed: Iterable<string>): string | undefined {
  let nearest: string | undefined;
  let nearestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of allowed) {
    const distance = editDistance(name.toLowerCase(), candidate.toLowerCase());
    if (distance < nearestDistance) {
      nearest = candidate;
      nearestDistance = distance;
    }
  }
  return nearest;
}

/** Lists the allowed names for a message, and the one that was perhaps meant: `known: npy, tfrecord; did you mean tfrecord?`. */
export function knownNames(name: string, allowed: readonly string[]): string {
  const nearest = nearestName(name, allowed);
  return `known: ${allowed.join(", ")}${nearest === undefined ? "" : `; did you mean ${nearest}?`}`;
}

/** Counts the characters to insert, remove or replace that make one name of the other. */
function editDistance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row++) {
    const current = [row];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (previous[column - 1] ?? 0) + (from[row - 1] === to[column - 1] ? 0 : 1);
      current.push(Math.min(replaced, (previous[column] ?? 0) + 1, (current[column - 1] ?? 0) + 1));
    }
    previous = current;
  }
  return previous[to.length] ?? 0;
}
