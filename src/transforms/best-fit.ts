// Which sequences share a row: best-fit decreasing, which needs at most 11/9 of the fewest rows, plus 4. Johnson et al., "Worst-Case
// Performance Bounds for Simple One-Dimensional Packing Algorithms" (SIAM J. Comput. 3, 1974).

/** A row that is being filled. */
interface Row {
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
  const rows: Row[] = [];
  for (const item of order) {
    const size = sizes[item] as number;
    let best: Row | undefined;
    for (const row of rows) if (row.left >= size && row.left < (best?.left ?? Infinity)) best = row;
    if (!best) rows.push((best = { items: [], left: capacity }));
    best.items.push(item);
    best.left -= size;
  }
  const packed = rows.map(({ items }) => items.sort((a, b) => a - b));
  return packed.sort((a, b) => (a[0] as number) - (b[0] as number));
}
