// Arrays as numpy lays them out: a header, then the rows; strings in fixed fields of UTF-32.
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html

import { bytesOf } from "../core/tensor.ts";
import { formatNpyHeader, npyDescrOf } from "../readers/npy-header.ts";
import type { ArrayLayout } from "./column-files.ts";

const CODE_POINT_BYTES = 4;

/** NPY arrays, version 1.0: tensors of all dtypes but bfloat16, opaque bytes `|V<n>`, strings `<U<n>`. */
export const npyLayout: ArrayLayout = {
  title: "NPY",
  holds: (dtype) => npyDescrOf(dtype) !== undefined,
  header(type, rows) {
    if (type.kind === "tensor") return formatNpyHeader(type.dtype, [rows, ...type.shape]);
    if (type.kind === "bytes") return formatNpyHeader(`|V${type.byteLength}`, [rows]);
    return formatNpyHeader(`<U${type.byteLength / CODE_POINT_BYTES}`, [rows]);
  },
  textEncoder() {
    let points = new Uint32Array(64);
    return (text) => {
      // A string has at least as many code units as code points.
      if (text.length > points.length) points = new Uint32Array(2 * text.length);
      let length = 0;
      for (const character of text) points[length++] = character.codePointAt(0) ?? 0;
      return bytesOf(points.subarray(0, length));
    };
  },
};
