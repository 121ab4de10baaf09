// What all benchmarks do alike: take turns, medians and spread, the environment in which peers are at their best.

/** Variables that pin OpenBLAS to the kernels of an old processor: numpy and torch would look slower than they are. */
const SLOWING = ["OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"];
/** Blocks of memory are kept and not given back to the system at each step, on all sides. */
const KEEPING = { MALLOC_MMAP_THRESHOLD_: "1000000000", MALLOC_TRIM_THRESHOLD_: "1000000000" };

/** The environment in which everything is measured, kdata and peers alike. */
export function benchEnvironment(environment = process.env) {
  const kept = Object.entries(environment).filter(([name]) => !SLOWING.includes(name));
  return { ...Object.fromEntries(kept), ...KEEPING, TF_CPP_MIN_LOG_LEVEL: "3", CUDA_VISIBLE_DEVICES: "" };
}

/** The middle one of some numbers; `undefined` of none. */
export function median(numbers) {
  return numbers.length === 0 ? undefined : numbers.toSorted((a, b) => a - b)[numbers.length >> 1];
}

/** How far the middle half of the measurements lies apart, as a part of their median; `undefined` of fewer than three. */
export function spread(numbers) {
  if (numbers.length < 3) return undefined;
  const sorted = numbers.toSorted((a, b) => a - b);
  const at = (part) => sorted[Math.round((sorted.length - 1) * part)];
  return (at(0.75) - at(0.25)) / median(numbers);
}

/**
 * Lets ways take turns, so that what else the machine does falls on all of them. A way is an async function that gives one number, or
 * several; one that gives `undefined` is left out. Gives `{ name: numbers }`.
 */
export async function alternate(ways, rounds) {
  const measured = Object.fromEntries(Object.keys(ways).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, way] of Object.entries(ways)) measured[name].push(...[(await way()) ?? []].flat());
  }
  return measured;
}
