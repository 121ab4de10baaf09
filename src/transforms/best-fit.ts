// Which sequences share a row: best-fit decreasing, which needs at most 11/9 of the fewest rows, plus 4. Johnson et al., "Worst-Case
// Performance Bounds for Simple One-Dimensional Packing Algorithms" (SIAM J. Comput. 3, 1974).

/** A row that is being filled. */
interface Row {
  readonly number: number;
  readonly items: number[];
  left: number;
}

/**
 * Divides items over rows of a capacity: the largest first, each into the row that it fills up best, or into a new one.
 *
 * Gives the numbers of the items of each row; in ascending order within a row, and the rows by their first one. It depends on the sizes
 * and their order alone. No size may be over the capacity.
 */
export function packBestFit(sizes: readonly number[], capacity: number): readonly (readonly number[])[] {
  const order = sizes.map((_, item) => item).sort((a, b) => (sizes[b] as number) - (sizes[a] as number) || a - b);
  /** By what is left in them, then by their numbers. */
  const rows: Row[] = [];
  for (const item of order) {
    const size = sizes[item] as number;
    const place = firstFrom(rows, size, 0);
    const row = rows[place] ?? { number: rows.length, items: [], left: capacity };
    rows.splice(place, 1);
    row.items.push(item);
    row.left -= size;
    rows.splice(firstFrom(rows, row.left, row.number), 0, row);
  }
  const packed = rows.map(({ items }) => items.sort((a, b) => a - b));
  return packed.sort((a, b) => (a[0] as number) - (b[0] as number));
}

/** Finds the first row with so much left and, where it has exactly that, of at least this number. */
function firstFrom(rows: readonly Row[], left: number, number: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const row = rows[middle] as Row;
    if (row.left > left || (row.left === left && row.number >= number)) high = middle;
    else low = middle + 1;
  }
  return low;
}
