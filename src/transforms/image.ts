// Images as the transforms of images see them: whatever the elements are, they are cropped, resized and mirrored alike.

import type { Tensor } from "../core/tensor.ts";
import type { Sampling } from "./resampling.ts";

/** A part of an image, in pixels. */
export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

/** A tensor [height, width, channels], or [height, width], that can be worked on as an image. Each method gives another one. */
export interface Image extends Tensor {
  readonly width: number;
  readonly height: number;
  /** Takes a part that lies within the image. */
  crop(part: Rectangle): Image;
  /** Puts the image into a larger one of zeros, with its first pixel at the given place. */
  place(x: number, y: number, width: number, height: number): Image;
  resize(width: number, height: number, sampling: Sampling): Image;
  /** Swaps left and right. */
  mirror(): Image;
  /** Swaps top and bottom. */
  flip(): Image;
}
