// What became of a damaged file in a reader.

/** From best to worst. */
export const outcomes = ["identical", "placed", "vague", "silent", "crash"];

/** Errors that say nothing about the kind of what is wrong: of Python, of JavaScript, and of what a parser stumbled over. */
const UNTYPED = [
  "Exception",
  "Error",
  "TypeError",
  "RangeError",
  "RuntimeError",
  "AssertionError",
  "KeyError",
  "IndexError",
  "AttributeError",
  "NameError",
  "UnicodeDecodeError",
  "RecursionError",
  "MemoryError",
  "OverflowError",
  "error", // struct.error, zlib.error
];
/** A number behind a word for a place, or the name of a member. */
const PLACE =
  /\b(at|byte|offset|position|record|row|line|column|char|member|index)\b\D{0,12}\d|\bfile '[^']+'|\bmember '?[\w./-]+/i;

/**
 * Judges what a reader answered. `identical`: all samples, and no other. `placed`: an error of a kind, with the place. `vague`: another
 * error. `silent`: no error, and fewer, more or other samples. `crash`: the process died, hung or took too much memory. `late`, where
 * other samples were given before the error. A reader that was asked in several ways is judged by the worst.
 */
export function outcomeOf({ attempts, died }, wanted, { twice }) {
  if (died !== undefined) return { outcome: "crash", detail: died };
  const judged = attempts.map((attempt) => judge(attempt, wanted, twice));
  return judged.reduce((worst, each) =>
    outcomes.indexOf(each.outcome) > outcomes.indexOf(worst.outcome) ? each : worst,
  );
}

function judge({ digests, error }, wanted, twice = false) {
  const all = twice ? [...wanted, ...wanted] : wanted;
  const differs = digests.findIndex((digest, i) => digest !== all[i]);
  const ofThem = `${digests.length} of ${all.length} samples`;
  if (error) {
    const { type, message, hasPlace = PLACE.test(message) && !UNTYPED.includes(type) } = error;
    const detail = `${type}: ${message.slice(0, 200)}`;
    return { outcome: hasPlace ? "placed" : "vague", detail, ...(differs >= 0 && { late: true }) };
  }
  if (differs >= 0) return { outcome: "silent", detail: `${ofThem}, the one at ${differs} is another` };
  return { outcome: digests.length === all.length ? "identical" : "silent", detail: ofThem };
}
