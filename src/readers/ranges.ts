// Half-open ranges of bytes in a list that is filled again for every record: emptying an array with `length = 0` gives its
// memory away, which costs more than decoding a small record does.

/** A list of ranges that keeps its memory. */
export class Ranges {
  readonly #bounds: number[] = [];
  /** How many ranges there are. */
  count = 0;

  /** Forgets all ranges. */
  clear(): void {
    this.count = 0;
  }

  /** Adds a range at the end. */
  add(start: number, end: number): void {
    this.#bounds[2 * this.count] = start;
    this.#bounds[2 * this.count + 1] = end;
    this.count++;
  }

  /** Where the range `index` starts. */
  start(index: number): number {
    return this.#bounds[2 * index] as number;
  }

  /** Where the range `index` ends. */
  end(index: number): number {
    return this.#bounds[2 * index + 1] as number;
  }
}
