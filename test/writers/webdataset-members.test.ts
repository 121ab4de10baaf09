import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { memberOf } from "../../src/writers/webdataset-members.ts";

test.each(["gz", "x.json.gz", "npz", "more.npz", "Photo"])(
  "bytes named %s are not written as what a reader decodes",
  (name) => {
    const { ext, note } = memberOf(name, gzipSync("x"), "Cannot write webdataset");
    expect(ext).toMatch(/\.bin$/);
    expect(note).toEqual({ name });
  },
);

test("JSON that is named as if it were in gzip is written as JSON, and the note keeps its name", () => {
  expect(memberOf("x.json.gz", { json: [1] }, "")).toMatchObject({
    ext: "x_json_gz.json",
    note: { name: "x.json.gz" },
  });
});
