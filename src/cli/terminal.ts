// What a stream can show: a live line, colours, how many columns. The variables that users know are honoured:
// https://no-color.org, https://force-color.org, TERM=dumb, CI, COLUMNS.

const DEFAULT_COLUMNS = 80;
const ESCAPED = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu; // control characters, and those that reorder text
const WIDE =
  /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u;

/** An output stream as the command line sees it: standard output or standard error. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** What the environment says: `process.env`. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Says whether a line may be redrawn in place: on a terminal that can, and not in CI. */
export function isLive(stream: TextStream, env: Environment): boolean {
  return stream.isTTY === true && env["TERM"] !== "dumb" && !isSet(env["CI"]);
}

/** Says whether colours are wanted. NO_COLOR comes before FORCE_COLOR. */
export function isColoured(stream: TextStream, env: Environment): boolean {
  if (isSet(env["NO_COLOR"])) return false;
  if (isSet(env["FORCE_COLOR"])) return env["FORCE_COLOR"] !== "0";
  return stream.isTTY === true && env["TERM"] !== "dumb";
}

/** Says how many columns a line may take. COLUMNS comes before what the terminal says. */
export function columnsOf(stream: TextStream, env: Environment): number {
  const wanted = Number(env["COLUMNS"]);
  if (Number.isInteger(wanted) && wanted > 0) return wanted;
  return stream.columns !== undefined && stream.columns > 0 ? stream.columns : DEFAULT_COLUMNS;
}

/**
 * Escapes the characters by which a name from a file could move the cursor or recolour the screen, line ends among them.
 *
 * @example
 * assert.equal(printable("a\u001b[2Jb"), "a\\u001b[2Jb");
 */
export function printable(text: string): string {
  return text.replace(ESCAPED, escapeCharacter);
}

/** Writes one character as JSON and JavaScript escape it. */
export function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** Counts the columns that a text takes on a terminal. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const character of text) width += WIDE.test(character) ? 2 : 1;
  return width;
}

/** Cuts a text to at most so many columns. */
export function clamp(text: string, columns: number): string {
  let width = 0;
  let kept = "";
  for (const character of text) {
    width += WIDE.test(character) ? 2 : 1;
    if (width > columns) break;
    kept += character;
  }
  return kept;
}

/** Wraps a text in a terminal's codes for a colour, where colours are wanted. */
export function paint(text: string, colour: "red" | "cyan" | "dim", coloured: boolean): string {
  return coloured ? `\u001b[${colourCodes[colour]}m${text}\u001b[0m` : text;
}

const colourCodes = { red: "1;31", cyan: "36", dim: "2" } as const;

function isSet(value: string | undefined): boolean {
  return value !== undefined && value !== "" && value !== "false";
}
