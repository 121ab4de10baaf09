// Smallest and largest values of many, and of the shapes of tensors axis by axis.

/** A smallest and a largest value. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** A range that is being widened; nothing was noted while `min` is above `max`. */
export interface Bounds {
  min: number;
  max: number;
}

/** Starts with nothing noted. */
export function emptyBounds(): Bounds {
  return { min: Infinity, max: -Infinity };
}

/** Takes note of a value. */
export function widen(bounds: Bounds, value: number): void {
  if (value < bounds.min) bounds.min = value;
  if (value > bounds.max) bounds.max = value;
}

/** Gives the range; `undefined` when nothing was noted. */
export function rangeOf({ min, max }: Bounds): Range | undefined {
  return min <= max ? { min, max } : undefined;
}

/** The sizes of each axis so far: `undefined` before the first shape, `"mixed"` when ranks differ. */
export type ShapeBounds = Bounds[] | "mixed" | undefined;

/** Takes note of a shape; gives the bounds to go on with. */
export function widenShape(bounds: ShapeBounds, shape: readonly number[]): ShapeBounds {
  const axes = bounds ?? shape.map(emptyBounds);
  if (axes === "mixed" || axes.length !== shape.length) return "mixed";
  axes.forEach((axis, index) => {
    widen(axis, shape[index] ?? 0);
  });
  return axes;
}
