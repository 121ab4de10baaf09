"""Loads shuffled batches with tf.data or with torch's DataLoader, and prints the samples per second of each round as JSON.

usage: loader.py tfdata PATH FLOATS BATCH ROUNDS       a TFRecord file of x: float32 [FLOATS] and y: int64
       loader.py memmap PATH WORKERS BATCH ROUNDS      an NPY file, its rows through numpy's memory map
       loader.py randn SAMPLES WORKERS BATCH ROUNDS    random numbers 224 x 224 x 3, made when they are asked for, and a label
"""

import json
import sys
import time

SHUFFLE_BUFFER = 10_000
LEAST_SECONDS = 1  # of whole epochs


def tfdata(path, floats, batch):
    import tensorflow as tf

    spec = {"x": tf.io.FixedLenFeature([floats], tf.float32), "y": tf.io.FixedLenFeature([1], tf.int64)}
    dataset = (
        tf.data.TFRecordDataset(path)
        .shuffle(SHUFFLE_BUFFER)
        .batch(batch)
        .map(lambda records: tf.io.parse_example(records, spec), num_parallel_calls=tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )
    return lambda: sum(int(parsed["y"].shape[0]) for parsed in dataset)


def memmap(path, workers, batch):
    import numpy as np
    import torch

    class Rows(torch.utils.data.Dataset):
        def __init__(self):
            self.rows = np.load(path, mmap_mode="r")

        def __len__(self):
            return len(self.rows)

        def __getitem__(self, row):
            return torch.from_numpy(np.array(self.rows[row]))

    settings = {"persistent_workers": True} if workers > 0 else {}
    loader = torch.utils.data.DataLoader(Rows(), batch_size=batch, shuffle=True, num_workers=workers, **settings)
    return lambda: sum(len(rows) for rows in loader)


def randn(samples, workers, batch):
    import torch

    class Normal(torch.utils.data.Dataset):
        def __len__(self):
            return int(samples)

        def __getitem__(self, row):
            return torch.randn(224, 224, 3), row % 10

    settings = {"persistent_workers": True} if workers > 0 else {}
    loader = torch.utils.data.DataLoader(Normal(), batch_size=batch, shuffle=True, num_workers=workers, **settings)
    return lambda: sum(len(labels) for _, labels in loader)


def main(way, path, number, batch, rounds):
    epoch = {"tfdata": tfdata, "memmap": memmap, "randn": randn}[way](path, int(number), int(batch))
    rates = []
    for _ in range(int(rounds) + 1):  # the first one traces functions and starts workers
        start = time.perf_counter()
        count = 0
        while time.perf_counter() - start < LEAST_SECONDS:
            count += epoch()
        rates.append(count / (time.perf_counter() - start))
    print(json.dumps(rates[1:]))


main(*sys.argv[1:])
