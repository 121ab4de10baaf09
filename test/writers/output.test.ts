import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

import { KdataError } from "../../src/core/errors.ts";
import { PartialFile, commitTogether } from "../../src/writers/output.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const dist = new URL("../../dist/writers/output.js", import.meta.url).href;

describe("PartialFile", () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "kdata-output-"));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it("has its final name only after commit(), and no other name then", () => {
    const file = new PartialFile(join(directory, "deep/er/a.bin"));
    file.append(bytes("abc"));
    expect(readdirSync(join(directory, "deep/er"))).toEqual([".a.bin.partial"]);
    file.commit();
    expect(readdirSync(join(directory, "deep/er"))).toEqual(["a.bin"]);
    expect(readFileSync(file.path, "utf8")).toBe("abc");
    file.abort();
    expect(existsSync(file.path)).toBe(true);
  });

  it("leaves nothing after abort(), and what was there before stays", () => {
    const path = join(directory, "a.bin");
    writeFileSync(path, "old");
    const file = new PartialFile(path);
    file.append(bytes("new"));
    file.abort();
    file.abort();
    expect(readdirSync(directory)).toEqual(["a.bin"]);
    expect(readFileSync(path, "utf8")).toBe("old");
  });

  it("keeps bytes in order across its buffer, whatever the sizes of the pieces", () => {
    const file = new PartialFile(join(directory, "a.bin"), 16);
    const expected: number[] = [];
    for (let size = 0; size < 50; size++) {
      const piece = Uint8Array.from({ length: size }, (_, index) => (size * 7 + index) % 251);
      file.append(piece);
      file.appendZeros(size % 19);
      expected.push(...piece, ...new Array<number>(size % 19).fill(0));
      expect(file.bytes).toBe(expected.length);
    }
    file.commit();
    expect([...readFileSync(file.path)]).toEqual(expected);
  });

  it("copies what is appended: the memory may be reused at once", () => {
    const file = new PartialFile(join(directory, "a.bin"));
    const piece = bytes("abc");
    file.append(piece);
    piece.fill(0);
    file.commit();
    expect(readFileSync(file.path, "utf8")).toBe("abc");
  });

  it("patches and reads back what was appended, flushed or not, and nothing beyond", () => {
    const file = new PartialFile(join(directory, "a.bin"), 4);
    file.append(bytes("0123456789"));
    file.patch(1, bytes("AB"));
    file.patch(8, bytes("CD"));
    file.append(bytes("xyz"));
    const target = new Uint8Array(6);
    file.read(target, 7);
    expect(new TextDecoder().decode(target)).toBe("7CDxyz");
    expect(() => {
      file.patch(12, bytes("YZ"));
    }).toThrow(RangeError);
    file.commit();
    expect(readFileSync(file.path, "utf8")).toBe("0AB34567CDxyz");
  });

  it("replaces the partial file that a killed process left", () => {
    const path = join(directory, "a.bin");
    const script = `import { PartialFile } from ${JSON.stringify(dist)};
      const file = new PartialFile(${JSON.stringify(path)});
      file.append(new Uint8Array(3 << 20));
      process.kill(process.pid, "SIGKILL");`;
    const killed = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
    expect(killed.signal).toBe("SIGKILL");
    expect(readdirSync(directory)).toEqual([".a.bin.partial"]);

    const file = new PartialFile(path);
    file.append(bytes("whole"));
    file.commit();
    expect(readdirSync(directory)).toEqual(["a.bin"]);
    expect(readFileSync(path, "utf8")).toBe("whole");
  });

  it("refuses to publish when another writer took the same path over", () => {
    const path = join(directory, "a.bin");
    const first = new PartialFile(path);
    first.append(bytes("first"));
    const second = new PartialFile(path);
    second.append(bytes("second"));
    expect(() => {
      first.commit();
    }).toThrow(/another process writes the same path/);
    second.commit();
    expect(readFileSync(path, "utf8")).toBe("second");
  });

  it.skipIf(process.platform === "win32")(
    "names the path when the disk refuses to take more, and leaves nothing",
    () => {
      const path = join(directory, "a.bin");
      const script = `import { PartialFile } from ${JSON.stringify(dist)};
      const file = new PartialFile(${JSON.stringify(path)});
      try { file.append(new Uint8Array(3 << 20)); file.commit(); }
      catch (error) { file.abort(); console.log(error.code, error.at.source, error.message); }`;
      // A file size limit is a disk that is full for one process.
      const command = `trap "" XFSZ; ulimit -f 100; exec "$0" --input-type=module -e "$1"`;
      const limited = spawnSync("sh", ["-c", command, process.execPath, script], { encoding: "utf8" });
      expect(limited.stdout).toContain(`output ${path} Cannot write output`);
      expect(readdirSync(directory)).toEqual([]);
    },
  );

  it("says output, with a hint, when the directory's name is a file", () => {
    writeFileSync(join(directory, "taken"), "");
    const error = caught(() => new PartialFile(join(directory, "taken", "a.bin")));
    expect(error.code).toBe("output");
    expect(error.at?.source).toBe(join(directory, "taken", "a.bin"));
    expect(error.hint).toBe("Choose a directory as the output.");
  });

  it("commits files together: when one cannot be published, none has its final name", () => {
    const files = ["a.bin", "b.bin", "c.bin"].map((name) => new PartialFile(join(directory, name)));
    for (const file of files) file.append(bytes("x"));
    mkdirSync(join(directory, "b.bin")); // a file cannot be renamed over a directory
    const error = caught(() => {
      commitTogether(files);
    });
    expect(error.code).toBe("output");
    expect(readdirSync(directory)).toEqual(["b.bin"]);
  });

  it("puts back what was there when a rename fails half-way, and leaves nothing else", () => {
    writeFileSync(join(directory, "a.bin"), "old a");
    mkdirSync(join(directory, "c.bin"));
    const files = ["a.bin", "b.bin", "c.bin", "d.bin"].map((name) => new PartialFile(join(directory, name)));
    for (const file of files) file.append(bytes("new"));
    const error = caught(() => {
      commitTogether(files);
    });
    expect(error).toMatchObject({ code: "output", at: { source: join(directory, "c.bin") } });
    expect(readdirSync(directory)).toEqual(["a.bin", "c.bin"]);
    expect(readFileSync(join(directory, "a.bin"), "utf8")).toBe("old a");
  });

  it("replaces what was there, and leaves no copy of it", () => {
    for (const name of ["a.bin", "b.bin"]) writeFileSync(join(directory, name), "old");
    const files = ["a.bin", "b.bin", "c.bin"].map((name) => new PartialFile(join(directory, name)));
    for (const file of files) file.append(bytes("new"));
    commitTogether(files);
    expect(readdirSync(directory)).toEqual(["a.bin", "b.bin", "c.bin"]);
    for (const { path } of files) expect(readFileSync(path, "utf8")).toBe("new");
  });
});

function caught(action: () => unknown): KdataError {
  try {
    action();
  } catch (error) {
    if (error instanceof KdataError) return error;
    throw error;
  }
  throw new Error("expected a KdataError, but nothing was thrown");
}
