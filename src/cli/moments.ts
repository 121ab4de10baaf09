// Mean and variance of numbers that come one after another, in float64: the updating formulas of Chan, Golub and LeVeque,
// "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances" (1979). Sums of squares would cancel out.

import { emptyBounds, rangeOf, widen } from "./bounds.ts";

/** What numbers have in common. */
export interface Statistics {
  /** How many there are. */
  readonly count: number;
  readonly min: number;
  readonly max: number;
  readonly mean: number;
  /** Of the population: the divisor is the count. */
  readonly std: number;
}

/** The moments of the finite numbers that were added, and how many were not finite. */
export class Moments {
  #count = 0;
  /** With what rounding took from it: Neumaier's summation (1974). */
  #sum = 0;
  #lost = 0;
  /** The sum of the squared distances from the mean. */
  #squares = 0;
  #nan = 0;
  #inf = 0;
  readonly #bounds = emptyBounds();

  /** NaNs added. */
  get nan(): number {
    return this.#nan;
  }

  /** Infinities added, of either sign. */
  get inf(): number {
    return this.#inf;
  }

  /** Adds one number. */
  add(value: number): void {
    if (!Number.isFinite(value)) {
      this.#noteSpecial(value);
      return;
    }
    widen(this.#bounds, value);
    this.#merge(1, value, 0);
  }

  /** Adds numbers: their own mean and squared distances in two passes, then both to those of before. */
  addAll(values: ArrayLike<number>): void {
    let [count, sum, min, max] = [0, 0, Infinity, -Infinity];
    for (let i = 0; i < values.length; i++) {
      const value = values[i] as number;
      if (value - value !== 0) {
        this.#noteSpecial(value);
        continue;
      }
      count++;
      sum += value;
      if (value < min) min = value;
      if (value > max) max = value;
    }
    if (count === 0) return;
    widen(this.#bounds, min);
    widen(this.#bounds, max);
    const mean = sum / count;
    let squares = 0;
    for (let i = 0; i < values.length; i++) {
      const distance = (values[i] as number) - mean;
      if (distance - distance === 0) squares += distance * distance;
    }
    this.#merge(count, sum, squares);
  }

  /** Gives the statistics of the finite numbers; `undefined` when there are none. */
  statistics(): Statistics | undefined {
    const range = rangeOf(this.#bounds);
    const count = this.#count;
    return range && { count, ...range, mean: this.#mean(), std: Math.sqrt(this.#squares / count) };
  }

  #merge(count: number, sum: number, squares: number): void {
    if (this.#count > 0) {
      const distance = sum / count - this.#mean();
      this.#squares += distance * distance * ((this.#count * count) / (this.#count + count));
    }
    this.#squares += squares;
    const total = this.#sum + sum;
    this.#lost += Math.abs(this.#sum) >= Math.abs(sum) ? this.#sum - total + sum : sum - total + this.#sum;
    this.#sum = total;
    this.#count += count;
  }

  #mean(): number {
    return (this.#sum + this.#lost) / this.#count;
  }

  #noteSpecial(value: number): void {
    if (Number.isNaN(value)) this.#nan++;
    else this.#inf++;
  }
}
