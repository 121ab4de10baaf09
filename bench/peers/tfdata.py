"""Reads a TFRecord file with tf.data and parse_example, and prints the records per second of each round as JSON.

usage: tfdata.py PATH FLOATS BATCH ROUNDS
"""

import json
import sys
import time

import tensorflow as tf


def main(path, floats, batch, rounds):
    spec = {"x": tf.io.FixedLenFeature([floats], tf.float32), "y": tf.io.FixedLenFeature([1], tf.int64)}
    rates = []
    for _ in range(rounds + 1):  # the first one traces the function
        dataset = tf.data.TFRecordDataset(path).batch(batch).map(lambda records: tf.io.parse_example(records, spec))
        start = time.perf_counter()
        count = sum(int(parsed["y"].shape[0]) for parsed in dataset)
        rates.append(count / (time.perf_counter() - start))
    print(json.dumps(rates[1:]))


main(sys.argv[1], *map(int, sys.argv[2:]))
