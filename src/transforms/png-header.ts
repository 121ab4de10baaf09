// What the header of a PNG says, and how an interlaced one is divided (https://www.w3.org/TR/png-3/#11IHDR).

/** What a PNG declares. */
export interface PngHeader {
  readonly width: number;
  readonly height: number;
  /** Of one sample: 1, 2, 4, 8 or 16. */
  readonly bits: number;
  readonly colour: ColourType;
  readonly isInterlaced: boolean;
}

/** Grey, colours, places of a palette, grey and alpha, colours and alpha. */
export type ColourType = 0 | 2 | 3 | 4 | 6;

/** A part of the image that is stored as an image by itself. */
export interface PngPass {
  readonly x: number;
  readonly y: number;
  readonly xStep: number;
  readonly yStep: number;
}
