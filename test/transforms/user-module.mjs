// A user's module of transforms, as the tests of map and filter load it: into this thread and into workers.

export default (sample) => ({ ...sample, features: { ...sample.features, mapped: "yes" } });

/** Adds what it draws. */
export function draw(sample, random) {
  const drawn = { dtype: "float64", shape: [], data: Float64Array.of(random.uniform()) };
  return { features: { ...sample.features, drawn } };
}

/** Makes the number n a vector that repeats it n % 5 + 1 times. */
export function repeat(sample) {
  const n = Number(sample.features.n.data[0]);
  const data = new Float32Array((Math.abs(n) % 5) + 1).fill(n);
  return { features: { ...sample.features, x: { dtype: "float32", shape: [data.length], data } } };
}

export function isEven(sample) {
  return Math.floor(Number(sample.features.n.data[0])) % 2 === 0;
}

export function explode(sample) {
  if (Number(sample.features.n.data[0]) === 3) throw new TypeError("three is too much");
  return sample;
}

export async function late(sample) {
  return sample;
}

export function nothing() {}

export function wrong(sample) {
  return { features: { ...sample.features, x: { dtype: "float32", shape: [3], data: new Float32Array(2) } } };
}

export const no = 1;
