// What kdata should reach. A row of a benchmark that is named here is held to its goal; what no benchmark measures yet is shown as such.

const mlp = "MLP 784-512-512-10, batch 128";

/**
 * Every goal: `name` is the row of the benchmark `area` that says whether it is met, `goal` the least ratio. Ratios are so that more is
 * better: peer's time over ours, our rate over the peer's. `why`: what a profile shows where it is missed.
 */
export const goals = [
  { area: "formats", name: "small Examples as columns, both checksums / tf.data parse_example", goal: 8 },
  { area: "formats", name: "small Examples as columns, both checksums / protobufjs without checksums", goal: 4 },
  { area: "formats", name: "tar of 20 KB images to samples / webdataset", goal: 10 },
  { area: "formats", name: "tar of 1 KB images to samples / webdataset", goal: 10 },
  { area: "formats", name: "NPY rows of 12 KB in order / raw read", goal: 0.7 },
  { area: "formats", name: "NPY rows of 12 KB in order / numpy", goal: 1 },
  { area: "formats", name: "index of a TFRecord of 20 KB images / 1 GB/s", goal: 1 },
  { area: "formats", name: "index of a tar of 20 KB images / 1 GB/s", goal: 1 },
  { area: "convert", name: "TFRecord of 20 KB images to WebDataset / TensorFlow and ShardWriter", goal: 6 },
  { area: "convert", name: "TFRecord of 20 KB images to WebDataset, two workers / one thread", goal: 1.3 },
  { area: "convert", name: "memory to convert a shard / 300 MB", goal: 1 },
  {
    area: "images",
    name: "WebDataset JPEG to float32 NCHW; peer: torch DataLoader, webdataset, Pillow",
    goal: 6,
    why: "nearly half of the time is that of libjpeg-turbo",
  },
  { area: "images", name: "the same; peer: its transforms alone on two cores", goal: 1.7 },
  { area: "images", name: "WebDataset JPEG to uint8 NHWC; peer: libjpeg-turbo alone", goal: 0.7 },
  { area: "images", name: "TFRecord JPEG to float32 NCHW; peer: tf.data AUTOTUNE", goal: 1.3 },
  {
    area: "loader",
    name: "TFRecord, small records, shuffled batches",
    goal: 6,
    why: "a third of the time is finding and copying each record from its place in the file, a tenth the order; checksums and decoding are a sixth",
  },
  {
    area: "loader",
    name: "NPY, rows of 12 KB, shuffled",
    goal: 2,
    why: "nearly half of the time is that of the system call for each row",
  },
  {
    area: "loader",
    name: "NPY, rows of 128 B, shuffled",
    goal: 20,
    why: "half of the time is the order, a row's key, and batches of 128 rows; a fifth is the copying",
  },
  { area: "loader", name: "main thread per batch of 19 MB, limit 0.5 ms", goal: 1 },
  {
    area: "loader",
    name: "event loop delay while loading, p99, limit 5 ms",
    goal: 1,
    why: "on two cores the main thread waits for one of them as long as beside two threads that only spin",
  },
  {
    area: "loader",
    name: "random 224×224×3 floats in memory, batch 128, no workers / torch DataLoader",
    goal: 2,
    why: "four fifths is drawing the numbers, four at a time in WebAssembly; torch draws eight at a time with AVX2",
  },
  {
    area: "loader",
    name: "random 224×224×3 floats in memory, batch 128, two workers / torch DataLoader",
    goal: 2,
    why: "four fifths is drawing the numbers, four at a time in WebAssembly; torch draws eight at a time with AVX2",
  },
  { area: "loader", name: "batches of the shape of MNIST / tfjs-data", goal: 10 },
  { area: "loader", name: "10^9 virtual samples: first batch, limit 1 s", goal: 1 },
  {
    area: "trainer",
    name: `${mlp} / the best peer in Python`,
    goal: 1,
    why: "a third of the time is not the step but what is around it, the way to the thread that computes and back; the matrix products are half",
  },
  { area: "trainer", name: `${mlp} / stock tfjs-wasm`, goal: 5 },
  {
    area: "trainer",
    name: "small CNN / the best peer in Python",
    goal: 0.83,
    why: "the gradients of convolutions, pooling with indices, and the choice of relu's gradient, which torch does in oneDNN",
  },
  { area: "trainer", name: "ViT 32²/4, dim 64, 2 blocks, batch 16 / the best peer in Python", goal: 1 },
  { area: "trainer", name: "ViT-Base width, 2 blocks, 224², batch 8 / the best peer in Python", goal: 1 },
  {
    area: "trainer",
    name: "LM with LoRA / the best peer in Python",
    goal: 1,
    why: "after the products, masking and many small operators, element by element",
  },
  { area: "trainer", name: "first step of the ViT, limit 0.5 s", goal: 1 },
  { area: "trainer", name: "time of a step / the slower of data and compute, at most 1.1", goal: 1 },
  { area: "trainer", name: "event loop gap while training, limit 20 ms", goal: 1 },
];
