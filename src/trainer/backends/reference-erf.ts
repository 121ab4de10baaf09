// The error function, https://dlmf.nist.gov/7.6.E2.

/** From here on erf rounds to 1 in float32. */
const SATURATION = 4;

/**
 * Computes erf to about 15 digits: the series `2 x exp(-x x) / sqrt(pi)` times `1 + 2 x x / 3 + (2 x x)^2 / (3 * 5) + ...`,
 * whose terms are all positive, so that nothing cancels. Beyond 4 the result is 1 (off by less than 2e-8).
 */
export function erf(x: number): number {
  if (Math.abs(x) >= SATURATION) return Math.sign(x);
  const ratio = 2 * x * x;
  let term = 1;
  let sum = 1;
  for (let n = 1; term > sum * Number.EPSILON; n++) {
    term *= ratio / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * x * Math.exp(-x * x) * sum;
}
