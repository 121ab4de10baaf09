// What models for ImageNet are fed with.

/**
 * Mean and standard deviation of ImageNet's colours, in units of 0 to 1, and the scale that brings bytes there:
 * `normalize("x", imagenet)`. The numbers of https://docs.pytorch.org/vision/stable/models.html.
 */
export const imagenet = {
  scale: 1 / 255,
  mean: [0.485, 0.456, 0.406],
  std: [0.229, 0.224, 0.225],
} as const;
