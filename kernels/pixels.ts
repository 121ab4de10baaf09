// Loops over the pixels of 8-bit images in this module's memory: rows of interleaved channels. AssemblyScript: compiled by the
// build. Loads of 16 bytes may reach past what they need: the host leaves as much room behind every image and table.

const WEIGHT_BITS: i32 = 14; // of what a table of weights calls 1: it fits 16 bits, with room for those of bicubic
const HALF: i32 = 1 << (WEIGHT_BITS - 1);
const TAIL: usize = memory.data(16, 16);

/** Gives the first byte that this module does not use. */
export function heapBase(): usize {
  return __heap_base;
}

/**
 * Resamples an image, first along its rows, then down its columns, rounding to bytes in between as Pillow does.
 *
 * A table says for each place of an axis where its first tap is (in bytes of a row, or in rows) and the weights of its taps, an even
 * number. `rows` is room for the rows between the passes: each of `rowPitch(outWidth, channels)` bytes, one more than there are.
 */
export function resample(
  source: usize,
  stride: i32,
  height: i32,
  channels: i32,
  outWidth: i32,
  outHeight: i32,
  columnStarts: usize,
  columnWeights: usize,
  columnTaps: i32,
  rowStarts: usize,
  rowWeights: usize,
  rowTaps: i32,
  rows: usize,
  target: usize,
  targetStride: i32,
): void {
  const pitch = rowPitch(outWidth, channels);
  let done = 0;
  for (let y = 0; y < outHeight; y++) {
    const first = load<i32>(rowStarts + ((<usize>y) << 2));
    if (done < first) done = first;
    const end = min(first + rowTaps, height);
    for (; done < end; done++) {
      const from = source + <usize>(done * stride);
      const to = rows + <usize>(done * pitch);
      if (channels == 3) resampleWide(from, 3, outWidth, columnStarts, columnWeights, columnTaps, to);
      else if (channels == 4) resampleWide(from, 4, outWidth, columnStarts, columnWeights, columnTaps, to);
      else resampleNarrow(from, channels, outWidth, columnStarts, columnWeights, columnTaps, to);
    }
    blendRows(
      rows + <usize>(first * pitch),
      <usize>pitch,
      rowWeights + <usize>(y * rowTaps * 2),
      rowTaps,
      <usize>(outWidth * channels),
      channels,
      target + <usize>(y * targetStride),
    );
  }
}

/** Gives the bytes of one row between the passes: three channels take the room of four. */
export function rowPitch(width: i32, channels: i32): i32 {
  return (width * (channels == 3 ? 4 : channels) + 15) & ~15;
}

/** Resamples a row of 3 or 4 channels into one of 4. */
// @ts-expect-error AssemblyScript decorator
@inline
function resampleWide(
  row: usize,
  channels: i32,
  outWidth: i32,
  starts: usize,
  weights: usize,
  taps: i32,
  target: usize,
): void {
  const pair =
    channels == 3
      ? i8x16(0, -1, 3, -1, 1, -1, 4, -1, 2, -1, 5, -1, -1, -1, -1, -1)
      : i8x16(0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, 3, -1, 7, -1);
  const step = <usize>(channels * 2);
  const half = i32x4.splat(HALF);
  if (taps == 2) {
    let x = 0;
    for (; x + 4 <= outWidth; x += 4) {
      const at = starts + ((<usize>x) << 2);
      const w = v128.load(weights + ((<usize>x) << 2));
      const a = twoTaps(row + load<i32>(at), pair, v128.shuffle<i32>(w, w, 0, 0, 0, 0));
      const b = twoTaps(row + load<i32>(at, 4), pair, v128.shuffle<i32>(w, w, 1, 1, 1, 1));
      const c = twoTaps(row + load<i32>(at, 8), pair, v128.shuffle<i32>(w, w, 2, 2, 2, 2));
      const d = twoTaps(row + load<i32>(at, 12), pair, v128.shuffle<i32>(w, w, 3, 3, 3, 3));
      const bytes = i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d));
      v128.store(target + ((<usize>x) << 2), bytes);
    }
    for (; x < outWidth; x++) {
      const pixels = i8x16.swizzle(v128.load64_zero(row + load<i32>(starts + ((<usize>x) << 2))), pair);
      const sum = i32x4.dot_i16x8_s(pixels, v128.load32_splat(weights + ((<usize>x) << 2)));
      store<i32>(target + ((<usize>x) << 2), toBytes(i32x4.add(sum, half)));
    }
    return;
  }
  let weight = weights;
  for (let x = 0; x < outWidth; x++) {
    let p = row + load<i32>(starts + ((<usize>x) << 2));
    let sum = half;
    for (let tap = 0; tap < taps; tap += 2) {
      const pixels = i8x16.swizzle(v128.load64_zero(p), pair);
      sum = i32x4.add(sum, i32x4.dot_i16x8_s(pixels, v128.load32_splat(weight)));
      p += step;
      weight += 4;
    }
    store<i32>(target + ((<usize>x) << 2), toBytes(sum));
  }
}

/** The weighted sums of two neighbouring pixels. */
// @ts-expect-error AssemblyScript decorator
@inline
function twoTaps(from: usize, pair: v128, weight: v128): v128 {
  const sums = i32x4.dot_i16x8_s(i8x16.swizzle(v128.load64_zero(from), pair), weight);
  return i32x4.shr_s(i32x4.add(sums, i32x4.splat(HALF)), WEIGHT_BITS);
}

// @ts-expect-error AssemblyScript decorator
@inline
function toBytes(sums: v128): i32 {
  const shifted = i32x4.shr_s(sums, WEIGHT_BITS);
  const words = i16x8.narrow_i32x4_s(shifted, shifted);
  return i32x4.extract_lane(i8x16.narrow_i16x8_u(words, words), 0);
}

/** Resamples a row of 1 or 2 channels. */
function resampleNarrow(
  row: usize,
  channels: i32,
  outWidth: i32,
  starts: usize,
  weights: usize,
  taps: i32,
  target: usize,
): void {
  for (let x = 0; x < outWidth; x++) {
    const start = row + load<i32>(starts + ((<usize>x) << 2));
    const weight = weights + <usize>(x * taps * 2);
    for (let channel = 0; channel < channels; channel++) {
      let sum = HALF;
      let p = start + channel;
      for (let tap = 0; tap < taps; tap++) {
        sum += <i32>load<u8>(p) * <i32>load<i16>(weight + ((<usize>tap) << 1));
        p += channels;
      }
      store<u8>(target + <usize>(x * channels + channel), clampByte(sum >> WEIGHT_BITS));
    }
  }
}

// @ts-expect-error AssemblyScript decorator
@inline
function clampByte(value: i32): i32 {
  return min(max(value, 0), 255);
}

/** Makes one row of the result as the weighted sum of rows between the passes. */
function blendRows(
  rows: usize,
  pitch: usize,
  weights: usize,
  taps: i32,
  length: usize,
  channels: i32,
  target: usize,
): void {
  const half = i32x4.splat(HALF);
  const step: usize = channels == 3 ? 12 : 16;
  let done: usize = 0;
  for (let o: usize = 0; done < length; o += 16) {
    let a = half;
    let b = half;
    let c = half;
    let d = half;
    let p = rows + o;
    for (let tap = 0; tap < taps; tap += 2) {
      const weight = v128.load32_splat(weights + ((<usize>tap) << 1));
      const even = v128.load(p);
      const odd = v128.load(p + pitch);
      p += pitch << 1;
      const low = i8x16.shuffle(even, odd, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      const high = i8x16.shuffle(even, odd, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      a = i32x4.add(a, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(low), weight));
      b = i32x4.add(b, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(low), weight));
      c = i32x4.add(c, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_u(high), weight));
      d = i32x4.add(d, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_u(high), weight));
    }
    let bytes = i8x16.narrow_i16x8_u(
      i16x8.narrow_i32x4_s(i32x4.shr_s(a, WEIGHT_BITS), i32x4.shr_s(b, WEIGHT_BITS)),
      i16x8.narrow_i32x4_s(i32x4.shr_s(c, WEIGHT_BITS), i32x4.shr_s(d, WEIGHT_BITS)),
    );
    if (channels == 3) bytes = i8x16.shuffle(bytes, bytes, 0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0, 0, 0, 0);
    if (done + 16 <= length) {
      v128.store(target + done, bytes); // of three channels 4 bytes too many, which the next store repairs
    } else {
      v128.store(TAIL, bytes);
      memory.copy(target + done, TAIL, min(step, length - done));
    }
    done += step;
  }
}

/** Copies a part of an image, or mirrors it left to right. */
export function copyPixels(
  source: usize,
  stride: i32,
  width: i32,
  height: i32,
  channels: i32,
  target: usize,
  targetStride: i32,
  mirror: bool,
): void {
  for (let y = 0; y < height; y++) {
    const from = source + <usize>(y * stride);
    const to = target + <usize>(y * targetStride);
    if (!mirror) {
      memory.copy(to, from, <usize>(width * channels));
      continue;
    }
    let p = from + <usize>((width - 1) * channels);
    let d = to;
    for (let x = 0; x < width; x++) {
      for (let channel: usize = 0; channel < <usize>channels; channel++) store<u8>(d + channel, load<u8>(p + channel));
      p -= channels;
      d += channels;
    }
  }
}

/** Swaps rows and columns. */
export function transposePixels(source: usize, width: i32, height: i32, channels: i32, target: usize): void {
  for (let y = 0; y < height; y++) {
    let p = source + <usize>(y * width * channels);
    for (let x = 0; x < width; x++) {
      const d = target + <usize>((x * height + y) * channels);
      for (let channel: usize = 0; channel < <usize>channels; channel++) store<u8>(d + channel, load<u8>(p + channel));
      p += channels;
    }
  }
}

/** Maps bytes to floats by a table of 256 for each channel; `planar`: one channel after the other. */
export function lookUpFloats(
  source: usize,
  stride: i32,
  width: i32,
  height: i32,
  channels: i32,
  tables: usize,
  target: usize,
  planar: bool,
): void {
  if (planar && channels == 3) return lookUpPlanes(source, stride, width, height, tables, target);
  const pixelStep: usize = planar ? 4 : <usize>channels << 2;
  const channelStep: usize = planar ? <usize>(width * height) << 2 : 4;
  for (let channel: usize = 0; channel < <usize>channels; channel++) {
    const table = tables + (channel << 10);
    let d = target + channel * channelStep;
    for (let y = 0; y < height; y++) {
      let p = source + <usize>(y * stride) + channel;
      for (let x = 0; x < width; x++) {
        store<f32>(d, lookUp(table, p));
        p += channels;
        d += pixelStep;
      }
    }
  }
}

function lookUpPlanes(source: usize, stride: i32, width: i32, height: i32, red: usize, target: usize): void {
  const plane = <usize>(width * height) << 2;
  const green = red + 1024;
  const blue = red + 2048;
  let d = target;
  for (let y = 0; y < height; y++) {
    let p = source + <usize>(y * stride);
    let x = 0;
    for (; x + 4 <= width; x += 4) {
      let e = d;
      store<f32>(e, lookUp(red, p));
      store<f32>(e, lookUp(red, p + 3), 4);
      store<f32>(e, lookUp(red, p + 6), 8);
      store<f32>(e, lookUp(red, p + 9), 12);
      e += plane;
      store<f32>(e, lookUp(green, p + 1));
      store<f32>(e, lookUp(green, p + 4), 4);
      store<f32>(e, lookUp(green, p + 7), 8);
      store<f32>(e, lookUp(green, p + 10), 12);
      e += plane;
      store<f32>(e, lookUp(blue, p + 2));
      store<f32>(e, lookUp(blue, p + 5), 4);
      store<f32>(e, lookUp(blue, p + 8), 8);
      store<f32>(e, lookUp(blue, p + 11), 12);
      p += 12;
      d += 16;
    }
    for (; x < width; x++) {
      store<f32>(d, lookUp(red, p));
      store<f32>(d + plane, lookUp(green, p + 1));
      store<f32>(d + 2 * plane, lookUp(blue, p + 2));
      p += 3;
      d += 4;
    }
  }
}

// @ts-expect-error AssemblyScript decorator
@inline
function lookUp(table: usize, at: usize): f32 {
  return load<f32>(table + ((<usize>load<u8>(at)) << 2));
}

/** Takes the channels of an image apart: one plane after the other. */
export function toPlanes(
  source: usize,
  stride: i32,
  width: i32,
  height: i32,
  channels: i32,
  target: usize,
): void {
  let d = target;
  for (let channel = 0; channel < channels; channel++) {
    for (let y = 0; y < height; y++) {
      let p = source + <usize>(y * stride + channel);
      for (let x = 0; x < width; x++) {
        store<u8>(d++, load<u8>(p));
        p += channels;
      }
    }
  }
}

/** Brings pixels from 1 to 4 channels to 1, 3 or 4: grey by the weights of ITU-R 601-2, a new alpha is 255. */
export function convertChannels(source: usize, pixels: i32, from: i32, target: usize, to: i32): void {
  let p = source;
  let d = target;
  for (let i = 0; i < pixels; i++) {
    const r = load<u8>(p);
    const g = from >= 3 ? load<u8>(p, 1) : r;
    const b = from >= 3 ? load<u8>(p, 2) : r;
    const a = from == 2 ? load<u8>(p, 1) : from == 4 ? load<u8>(p, 3) : 255;
    if (to == 1) {
      store<u8>(d, from >= 3 ? luma(r, g, b) : r);
    } else {
      store<u8>(d, r);
      store<u8>(d, g, 1);
      store<u8>(d, b, 2);
      if (to == 4) store<u8>(d, a, 3);
    }
    p += from;
    d += to;
  }
}

// @ts-expect-error AssemblyScript decorator
@inline
function luma(r: i32, g: i32, b: i32): i32 {
  return (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
}

/** Sums up the grey values of an image. */
export function sumOfGrey(source: usize, pixels: i32, channels: i32): f64 {
  let sum: u64 = 0;
  let p = source;
  for (let i = 0; i < pixels; i++) {
    sum += channels >= 3 ? luma(load<u8>(p), load<u8>(p, 1), load<u8>(p, 2)) : load<u8>(p);
    p += channels;
  }
  return <f64>sum;
}

/** Maps the first `colours` channels of each pixel by a table of 256 bytes. */
export function lookUpBytes(pixels: usize, count: i32, channels: i32, colours: i32, table: usize): void {
  let p = pixels;
  for (let i = 0; i < count; i++) {
    for (let channel: usize = 0; channel < <usize>colours; channel++) {
      store<u8>(p + channel, load<u8>(table + load<u8>(p + channel)));
    }
    p += channels;
  }
}

/** Blends each pixel with its grey value: Pillow's ImageEnhance.Color. */
export function saturate(pixels: usize, count: i32, channels: i32, factor: f32): void {
  let p = pixels;
  for (let i = 0; i < count; i++) {
    const r = <i32>load<u8>(p);
    const g = <i32>load<u8>(p, 1);
    const b = <i32>load<u8>(p, 2);
    const grey = luma(r, g, b);
    store<u8>(p, blend(grey, r, factor));
    store<u8>(p, blend(grey, g, factor), 1);
    store<u8>(p, blend(grey, b, factor), 2);
    p += channels;
  }
}

// @ts-expect-error AssemblyScript decorator
@inline
function blend(from: i32, to: i32, factor: f32): i32 {
  return clampByte(<i32>(<f32>from + factor * <f32>(to - from)));
}

/** Turns the hue of each pixel by `turn` of 256 steps, through HSV of 8 bits as Pillow converts to it and back. */
export function turnHue(pixels: usize, count: i32, channels: i32, turn: i32): void {
  let p = pixels;
  for (let i = 0; i < count; i++) {
    turnPixel(p, turn);
    p += channels;
  }
}

function turnPixel(p: usize, turn: i32): void {
  const r = <i32>load<u8>(p);
  const g = <i32>load<u8>(p, 1);
  const b = <i32>load<u8>(p, 2);
  const value = max(r, max(g, b));
  const least = min(r, min(g, b));
  if (value == least) return; // grey has no hue, and HSV of 8 bits keeps it
  const range = <f32>(value - least);
  const saturation = range / <f32>value;
  const rc = <f32>(value - r) / range;
  const gc = <f32>(value - g) / range;
  const bc = <f32>(value - b) / range;
  let h: f32 = r == value ? bc - gc : g == value ? <f32>2 + rc - bc : <f32>4 + gc - rc;
  const sixth: f64 = <f64>h / 6 + 1;
  h = <f32>(sixth - floor<f64>(sixth));
  const hue = (clampByte(<i32>(<f64>h * 255)) + turn) & 255;
  const sat = clampByte(<i32>(<f64>saturation * 255));
  storeHsv(p, hue, sat, value);
}

function storeHsv(p: usize, hue: i32, saturation: i32, value: i32): void {
  const scaled: f32 = <f32>((<f64>hue * 6) / 255);
  const sector = <i32>(scaled);
  const f: f32 = scaled - <f32>sector;
  const s: f32 = <f32>(<f64>saturation / 255);
  const low = toByte(<f64>value * (1 - <f64>s));
  const falling = toByte(<f64>value * (1 - <f64>(s * f)));
  const rising = toByte(<f64>value * (1 - <f64>s * (1 - <f64>f)));
  switch (sector % 6) {
    case 0:
      return storeRgb(p, value, rising, low);
    case 1:
      return storeRgb(p, falling, value, low);
    case 2:
      return storeRgb(p, low, value, rising);
    case 3:
      return storeRgb(p, low, falling, value);
    case 4:
      return storeRgb(p, rising, low, value);
    default:
      return storeRgb(p, value, low, falling);
  }
}

// @ts-expect-error AssemblyScript decorator
@inline
function toByte(value: f64): i32 {
  return clampByte(<i32>(value + 0.5));
}

// @ts-expect-error AssemblyScript decorator
@inline
function storeRgb(p: usize, r: i32, g: i32, b: i32): void {
  store<u8>(p, r);
  store<u8>(p, g, 1);
  store<u8>(p, b, 2);
}

/**
 * Takes the filters of a PNG off its rows (https://www.w3.org/TR/png-3/#9Filters), each behind a byte with its filter. Gives the
 * number of rows, or that of the first one with a filter that there is not.
 */
export function unfilter(source: usize, rowBytes: i32, height: i32, pixelBytes: i32, target: usize): i32 {
  for (let y = 0; y < height; y++) {
    const from = source + <usize>(y * (rowBytes + 1));
    const filter = load<u8>(from);
    const row = from + 1;
    const to = target + <usize>(y * rowBytes);
    if (filter == 0) memory.copy(to, row, rowBytes);
    else if (filter > 4) return y;
    else unfilterRow(filter, row, rowBytes, pixelBytes, to, y > 0 ? to - rowBytes : 0);
  }
  return height;
}

/** `above` is 0 where there is no row. */
function unfilterRow(filter: u8, row: usize, length: i32, pixelBytes: i32, target: usize, above: usize): void {
  for (let i = 0; i < length; i++) {
    const left = i >= pixelBytes ? <i32>load<u8>(target + i - pixelBytes) : 0;
    const up = above ? <i32>load<u8>(above + i) : 0;
    let predicted = left;
    if (filter == 2) predicted = up;
    else if (filter == 3) predicted = (left + up) >> 1;
    else if (filter == 4) predicted = paeth(left, up, above && i >= pixelBytes ? load<u8>(above + i - pixelBytes) : 0);
    store<u8>(target + i, <i32>load<u8>(row + i) + predicted);
  }
}

// @ts-expect-error AssemblyScript decorator
@inline
function paeth(a: i32, b: i32, c: i32): i32 {
  const pa = abs(b - c);
  const pb = abs(a - c);
  const pc = abs(a + b - 2 * c);
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}
