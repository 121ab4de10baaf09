// Rows of benchmarks and the goals that they are held to.

import { goals } from "../bench/goals.mjs";

/** Gives rows without what they say is not there. */
export function withoutNulls(rows) {
  return rows.map((row) => Object.fromEntries(Object.entries(row).filter(([, value]) => value !== null)));
}

/** Gives the rows of an area with `goal` and `verdict`, those with a goal first, and those that are not measured yet. */
export function withGoals(area, rows) {
  const wanted = goals.filter((goal) => goal.area === area);
  const held = wanted.map(({ name, goal, why }) => {
    const row = rows.find((each) => each.name === name);
    const { ratio } = row ?? {};
    const verdict = ratio === undefined ? "not measured" : ratio >= goal ? "met" : "not met";
    return { name, ...row, goal, verdict, ...(why && verdict !== "met" && { why }) };
  });
  const others = rows.filter(({ name }) => !wanted.some((goal) => goal.name === name));
  return [...held, ...others.map(({ goal: _, ...row }) => row)];
}

/** Writes a number with three digits. */
export function figure(number) {
  if (number === undefined) return "–";
  for (const [size, letter] of [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ]) {
    if (number >= size) return `${Number((number / size).toPrecision(3))}${letter}`;
  }
  return String(Number(number.toPrecision(3)));
}
