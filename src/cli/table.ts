// Rows lined up for people.

import { displayWidth, printable } from "./terminal.ts";

/** Lines up the cells of each column, two spaces apart; a name that moves the cursor must not move the table. */
export function tableLines(rows: readonly (readonly string[])[]): string[] {
  const cells = rows.map((row) => row.map(printable));
  const widths = (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => displayWidth(row[column] ?? ""))));
  return cells.map((row) => {
    const padded = row.map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - displayWidth(cell)));
    return `  ${padded.join("  ").trimEnd()}`;
  });
}
