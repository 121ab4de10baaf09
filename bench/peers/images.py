"""Makes the JPEGs of bench/images.mjs, and loads them as PyTorch and TensorFlow do.

usage: images.py make FOLDER COUNT | torch PATTERN WORKERS | transforms PATTERN | tfdata PATH

`make` writes COUNT images of about 20 KB to FOLDER/img-0.tar and img-1.tar (WebDataset). The others print images per second, decoded,
cropped at random to 224, flipped, normalized, in float32 NCHW batches of 128; the first batches are not counted.
"""

import glob
import io
import json
import os
import sys
import tarfile
import time
import warnings

BATCH = 128
WARM = 8  # batches
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def make(folder, count):
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(1234)
    for shard in range(2):
        with tarfile.open(os.path.join(folder, f"img-{shard}.tar"), "w", format=tarfile.USTAR_FORMAT) as tar:
            for i in range(shard * count // 2, (shard + 1) * count // 2):
                width, height = int(rng.integers(224, 257)), int(rng.integers(224, 257))
                y, x = np.mgrid[0:height, 0:width]
                a, b, c, d = rng.uniform(0.01, 0.2, 4)
                base = np.stack([x * 255 / width, y * 255 / height, 128 + 80 * np.sin(a * x + b * y)], -1)
                coarse = rng.normal(0, 40, (height // 4 + 1, width // 4 + 1, 1)).repeat(4, 0).repeat(4, 1)[:height, :width]
                base += coarse + rng.normal(0, 7, (height, width, 1)) + 30 * np.cos(c * x - d * y)[..., None]
                buffer = io.BytesIO()
                Image.fromarray(np.clip(base, 0, 255).astype("u1")).save(buffer, "JPEG", quality=85)
                for extension, data in (("jpg", buffer.getvalue()), ("cls", str(i % 1000).encode())):
                    member = tarfile.TarInfo(f"{i:08d}.{extension}")
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))


def transform():
    """What torchvision's RandomResizedCrop, RandomHorizontalFlip, ToTensor and Normalize do, by the same calls of Pillow and torch."""
    import math
    import random

    import torch
    from PIL import Image

    mean, std = torch.tensor(MEAN).view(-1, 1, 1), torch.tensor(STD).view(-1, 1, 1)

    def apply(data):
        import numpy as np

        image = Image.open(io.BytesIO(data)).convert("RGB")
        width, height = image.size
        for _ in range(10):
            area = width * height * random.uniform(0.08, 1)
            ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= width and 0 < h <= height:
                break
        else:
            w, h = width, height
        x, y = random.randint(0, width - w), random.randint(0, height - h)
        image = image.crop((x, y, x + w, y + h)).resize((224, 224), Image.BILINEAR)
        if random.random() < 0.5:
            image = image.transpose(Image.FLIP_LEFT_RIGHT)
        planes = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
        return planes.to(torch.float32).div_(255).sub_(mean).div_(std)

    return apply


def run_torch(pattern, workers):
    import torch
    import webdataset as wds
    from torch.utils.data import DataLoader

    torch.set_num_threads(1)
    dataset = wds.WebDataset(sorted(glob.glob(pattern)), shardshuffle=False).to_tuple("jpg", "cls").map_tuple(transform(), int)
    return rate(len(labels) for _, labels in DataLoader(dataset, batch_size=BATCH, num_workers=workers))


def run_transforms(pattern):
    import torch

    torch.set_num_threads(1)
    apply = transform()
    files = []
    for path in sorted(glob.glob(pattern)):
        with tarfile.open(path) as tar:
            files += [tar.extractfile(member).read() for member in tar if member.name.endswith(".jpg")]

    def batches():
        for start in range(0, len(files), BATCH):
            yield len([apply(data) for data in files[start : start + BATCH]])

    return rate(batches())


def run_tfdata(path):
    import tensorflow as tf

    spec = {"jpg": tf.io.FixedLenFeature([], tf.string)}
    mean, std = tf.constant(MEAN), tf.constant(STD)

    def parse(record):
        data = tf.io.parse_single_example(record, spec)["jpg"]
        shape = tf.io.extract_jpeg_shape(data)
        box = tf.zeros([1, 0, 4])
        begin, size, _ = tf.image.sample_distorted_bounding_box(
            shape, box, min_object_covered=0.0, aspect_ratio_range=(3 / 4, 4 / 3), area_range=(0.08, 1.0), use_image_if_no_bounding_boxes=True
        )
        window = tf.stack([begin[0], begin[1], size[0], size[1]])
        image = tf.image.decode_and_crop_jpeg(data, window, channels=3)
        image = tf.image.random_flip_left_right(tf.image.resize(image, [224, 224]))
        return tf.transpose((image / 255 - mean) / std, [2, 0, 1])

    dataset = tf.data.TFRecordDataset(path).map(parse, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH).prefetch(tf.data.AUTOTUNE)
    return rate(int(batch.shape[0]) for batch in dataset)


def rate(sizes):
    count, start = 0, None
    for i, size in enumerate(sizes):
        if i == WARM:
            start = time.perf_counter()
        if i >= WARM:
            count += size
    # The batch whose end starts the clock is not counted.
    return (count - BATCH) / (time.perf_counter() - start)


if __name__ == "__main__":
    warnings.filterwarnings("ignore")
    command, *arguments = sys.argv[1:]
    if command == "make":
        make(arguments[0], int(arguments[1]))
    else:
        runs = {"torch": lambda: run_torch(arguments[0], int(arguments[1])), "transforms": lambda: run_transforms(*arguments), "tfdata": lambda: run_tfdata(*arguments)}
        print(json.dumps(runs[command]()))
