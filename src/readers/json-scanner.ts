// JSON text (https://www.rfc-editor.org/rfc/rfc8259), strict, and with what JSON.parse does not tell: whole numbers with all their
// digits, whether a number was written with a fraction, names that come twice, and where an error is.

import type { KdataError } from "../core/errors.ts";
import type { JsonValue } from "../core/sample.ts";

/** Deeper nesting is an attack on the stack, not data. */
const MAX_NESTING = 256;
/** Whole numbers of so many digits are exact as JavaScript numbers. */
const SAFE_DIGITS = 15;
/** Names of an object that are kept to be recognised in the next one. */
const MAX_EXPECTED_NAMES = 256;
const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;

const CONTROL = /[\u0000-\u001f]/; // eslint-disable-line no-control-regex -- JSON forbids them inside strings

/** Makes the error for what is wrong at an index of the text; the length of the text where it ends too early. */
export type JsonFail = (code: "format" | "unsupported" | "limit", reason: string, index: number) => KdataError;

/**
 * A number, a boolean, or nested arrays of one of them in a regular shape. `int`: all are whole numbers, as
 * bigints where JavaScript numbers would not be exact. `float`: at least one was written with a fraction or an exponent.
 */
export interface JsonNumbers {
  readonly kind: "int" | "float" | "bool";
  readonly shape: readonly number[];
  /** Row-major; booleans as 0 and 1. */
  readonly values: readonly (number | bigint)[];
}

/** Reads one JSON text piece by piece. A method that reads a value begins at white space or at the value itself. */
export class JsonScanner {
  readonly #fail: JsonFail;
  #text = "";
  #position = 0;
  #hasControls = false;
  /** The first backslash that is not passed yet; before `#position` when it is not known. */
  #nextEscape = -1;
  /** How many objects are open, and the names that the last ones had at each level: mostly the next ones have them too. */
  #level = 0;
  readonly #names: string[][] = [];

  constructor(fail: JsonFail) {
    this.#fail = fail;
  }

  /** Goes to the start of a text. */
  begin(text: string): void {
    this.#text = text;
    this.#position = 0;
    this.#hasControls = CONTROL.test(text);
    this.#nextEscape = -1;
    this.#level = 0;
  }

  /** The first character of the next value, without taking it; empty at the end. */
  peek(): string {
    this.#skipSpace();
    return this.#text.charAt(this.#position);
  }

  /** The first name of the object that is next, without taking it; `undefined` when it is empty. */
  peekName(): string | undefined {
    const start = this.#position;
    this.#expect("{");
    const name = this.peek() === '"' ? this.string() : undefined;
    this.#position = start;
    this.#nextEscape = -1;
    return name;
  }

  /** Takes an object. `take` gets each name and must take the value. Names that come twice are `take`'s to refuse. */
  object(take: (name: string) => void): void {
    this.#expect("{");
    if (this.peek() === "}") {
      this.#position++;
      return;
    }
    const names = (this.#names[this.#level++] ??= []);
    let member = 0;
    do {
      if (this.peek() !== '"') throw this.#unexpected("a name in quotes");
      const name = this.#name(names, member++);
      this.#expect(":");
      take(name);
    } while (this.#goesOn("}"));
    this.#level--;
  }

  /** Takes any value. `depth` counts the arrays and objects around it. */
  value(depth = 0): JsonValue {
    if (depth > MAX_NESTING) {
      throw this.#fail("limit", `the nesting is deeper than the limit of ${MAX_NESTING}`, this.#position);
    }
    switch (this.peek()) {
      case '"':
        return this.string();
      case "{":
        return this.#objectValue(depth);
      case "[":
        return this.#arrayValue(depth);
      case "t":
        return this.#literal("true", true);
      case "f":
        return this.#literal("false", false);
      case "n":
        return this.#literal("null", null);
      default:
        return this.#numberValue();
    }
  }

  /**
   * Takes a number, a boolean or regular nested arrays of one of them; `undefined`, with nothing taken, when it is another value
   * or a whole number is above `max`.
   */
  numbers(max = MAX_INT64): JsonNumbers | undefined {
    const start = this.#position;
    const found: FoundNumbers = { shape: [], values: [], kinds: 0, max };
    const taken = this.#takeNumbers(found, 0);
    const kind = taken ? kindsOf[found.kinds] : undefined;
    if (kind !== undefined && (kind !== "float" || found.values.every((value) => typeof value === "number"))) {
      return { kind, shape: found.shape, values: found.values };
    }
    this.#position = start;
    return undefined;
  }

  /** Takes a string. */
  string(): string {
    if (this.peek() !== '"') throw this.#unexpected("a string");
    const text = this.#text;
    const start = this.#position + 1;
    let end = text.indexOf('"', start);
    if (this.#nextEscape < start) {
      const next = text.indexOf("\\", start);
      this.#nextEscape = next < 0 ? Infinity : next;
    }
    const isEscaped = end < 0 || this.#nextEscape < end;
    if (isEscaped) end = this.#endOfEscaped(start);
    this.#position = end + 1;
    if (isEscaped) return this.#unescape(start - 1, end + 1);
    if (this.#hasControls && CONTROL.test(text.slice(start, end))) {
      throw this.#fail("format", "a string holds a control character that is not escaped", start);
    }
    return text.slice(start, end);
  }

  /** Makes sure that nothing but white space is left. */
  end(): void {
    if (this.peek() !== "") throw this.#unexpected("the end");
  }

  /** The error for the value that was taken last, or for what is next. */
  fail(reason: string): KdataError {
    return this.#fail("format", reason, this.#position);
  }

  /** Takes a name. Of one that was expected there is no new string, so that what is found by it is found faster. */
  #name(names: string[], member: number): string {
    const expected = names[member];
    const start = this.#position + 1;
    if (expected !== undefined) {
      const end = start + expected.length;
      if (this.#text.charCodeAt(end) === QUOTE && this.#text.startsWith(expected, start)) {
        this.#position = end + 1;
        return expected;
      }
    }
    const name = this.string();
    // What stands there as it is. No more names than this are kept: there may be any number of others.
    if (member < MAX_EXPECTED_NAMES && this.#position === start + name.length + 1 && !/["\\]/.test(name))
      names[member] = name;
    return name;
  }

  #objectValue(depth: number): JsonValue {
    const members: Record<string, JsonValue> = {};
    this.object((name) => {
      if (Object.hasOwn(members, name)) throw this.fail(`the name ${JSON.stringify(name)} comes twice in an object`);
      const value = this.value(depth + 1);
      // An assignment to this name would set the prototype.
      if (name === "__proto__") {
        Object.defineProperty(members, name, { value, enumerable: true, configurable: true, writable: true });
      } else {
        members[name] = value;
      }
    });
    return members;
  }

  #arrayValue(depth: number): JsonValue {
    this.#expect("[");
    const items: JsonValue[] = [];
    if (this.peek() === "]") {
      this.#position++;
      return items;
    }
    do items.push(this.value(depth + 1));
    while (this.#goesOn("]"));
    return items;
  }

  #literal<T extends boolean | null>(word: string, value: T): T {
    for (const letter of word) {
      if (this.#text.charAt(this.#position) !== letter) throw this.#unexpected("a value");
      this.#position++;
    }
    return value;
  }

  #numberValue(): number {
    const start = this.#position;
    const isWhole = this.#passNumber();
    const token = this.#text.slice(start, this.#position);
    const value = Number(token);
    if (!Number.isFinite(value)) throw this.#fail("unsupported", `${token} is beyond the range of float64`, start);
    if (isWhole && !isExact(token, value)) {
      throw this.#fail("unsupported", `the whole number ${token} is not exact as a 64-bit float`, start);
    }
    return value;
  }

  /** Takes numbers into `found`; `false` at what does not belong to them. */
  #takeNumbers(found: FoundNumbers, axis: number): boolean {
    const first = this.peek();
    if (first === "[") return axis < MAX_NESTING && this.#takeNumberArray(found, axis);
    if (found.values.length > 0 && axis !== found.shape.length) return false;
    if (first === "t" || first === "f") {
      found.kinds |= BOOL;
      found.values.push(first === "t" ? 1 : 0);
      this.#literal(first === "t" ? "true" : "false", true);
      return true;
    }
    if (first !== "-" && !(first >= "0" && first <= "9")) return false;
    const start = this.#position;
    const isWhole = this.#passNumber();
    found.kinds |= isWhole ? INT : FLOAT;
    const value = isWhole ? this.#wholeNumber(start, found.max) : Number(this.#text.slice(start, this.#position));
    if (value === undefined || value === Infinity || value === -Infinity) return false;
    found.values.push(value);
    return true;
  }

  #takeNumberArray(found: FoundNumbers, axis: number): boolean {
    const isFirst = found.values.length === 0;
    // The first elements say how deep the arrays are.
    if (!isFirst && axis >= found.shape.length) return false;
    if (isFirst) found.shape[axis] = 0;
    this.#position++;
    let length = 0;
    do {
      if (!this.#takeNumbers(found, axis + 1)) return false;
      length++;
    } while (this.#goesOn("]"));
    if (isFirst) found.shape[axis] = length;
    return length === found.shape[axis];
  }

  /** Passes over a number and says whether it is whole, without fraction and exponent. */
  #passNumber(): boolean {
    const text = this.#text;
    let position = this.#position;
    if (text.charCodeAt(position) === MINUS) position++;
    position = text.charCodeAt(position) === ZERO ? position + 1 : this.#passDigits(position);
    let isWhole = true;
    if (text.charCodeAt(position) === POINT) {
      isWhole = false;
      position = this.#passDigits(position + 1);
    }
    if ((text.charCodeAt(position) | 0x20) === LETTER_E) {
      isWhole = false;
      position++;
      const sign = text.charCodeAt(position);
      position = this.#passDigits(sign === MINUS || sign === PLUS ? position + 1 : position);
    }
    this.#position = position;
    return isWhole;
  }

  /** The whole number that was passed: a number where that is exact, otherwise a bigint; `undefined` when it is out of range. */
  #wholeNumber(start: number, max: bigint): number | bigint | undefined {
    const text = this.#text;
    const end = this.#position;
    if (end - start > SAFE_DIGITS) {
      const value = BigInt(text.slice(start, end));
      if (value < MIN_INT64 || value > max) return undefined;
      const number = Number(value);
      return Number.isSafeInteger(number) ? number : value;
    }
    const isNegative = text.charCodeAt(start) === MINUS;
    let value = 0;
    for (let index = isNegative ? start + 1 : start; index < end; index++) {
      value = 10 * value + text.charCodeAt(index) - ZERO;
    }
    return isNegative ? -value : value;
  }

  #passDigits(start: number): number {
    let position = start;
    for (;;) {
      const code = this.#text.charCodeAt(position);
      if (!(code >= ZERO && code <= NINE)) break;
      position++;
    }
    if (position > start) return position;
    this.#position = start;
    throw this.#unexpected("a value");
  }

  /** The index of the quote that ends a string with escapes. */
  #endOfEscaped(start: number): number {
    const text = this.#text;
    for (let index = start; index < text.length; index++) {
      const code = text.charCodeAt(index);
      if (code === QUOTE) return index;
      if (code === BACKSLASH) index++;
    }
    throw this.#fail("format", "a string is not closed", text.length);
  }

  #unescape(start: number, end: number): string {
    try {
      return JSON.parse(this.#text.slice(start, end)) as string;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      throw this.#fail("format", "a string holds an escape that JSON does not know, or a control character", start);
    }
  }

  /** Takes a comma or the end of an array or object, and says whether it was a comma. */
  #goesOn(close: string): boolean {
    const next = this.peek();
    if (next !== "," && next !== close) throw this.#unexpected(`"," or "${close}"`);
    this.#position++;
    return next === ",";
  }

  #expect(character: string): void {
    if (this.peek() !== character) throw this.#unexpected(`"${character}"`);
    this.#position++;
  }

  #unexpected(wanted: string): KdataError {
    const found = this.peek();
    const reason = found === "" ? "it ends" : `${JSON.stringify(found)} stands`;
    return this.fail(`${reason} where ${wanted} should be`);
  }

  #skipSpace(): void {
    for (;;) {
      const code = this.#text.charCodeAt(this.#position);
      if (code !== 0x20 && code !== 0x09 && code !== 0x0a && code !== 0x0d) return;
      this.#position++;
    }
  }
}

const QUOTE = 0x22;
const PLUS = 0x2b;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const BACKSLASH = 0x5c;
const LETTER_E = 0x65;

/** What numbers were found, as bits. */
const INT = 1;
const FLOAT = 2;
const BOOL = 4;
const kindsOf: Readonly<Record<number, JsonNumbers["kind"]>> = {
  [INT]: "int",
  [FLOAT]: "float",
  [INT | FLOAT]: "float",
  [BOOL]: "bool",
};

interface FoundNumbers {
  readonly shape: number[];
  readonly values: (number | bigint)[];
  kinds: number;
  readonly max: bigint;
}

/** Says whether a whole number is the same as a float, or at least has the digits that the float is written with. */
function isExact(token: string, value: number): boolean {
  return token.length <= SAFE_DIGITS || String(value) === token || BigInt(value) === BigInt(token);
}
