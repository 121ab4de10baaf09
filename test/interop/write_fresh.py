"""Writes new data with TensorFlow, webdataset, numpy, safetensors and pyarrow, from a seed, and prints what was written as JSON.

usage: write_fresh.py DIRECTORY SEED
"""

import json
import sys

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.numpy
import tensorflow as tf
import webdataset as wds

RECORDS = 50


def bytes_feature(*values):
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def write_tfrecord(path, rng):
    written = []
    with tf.io.TFRecordWriter(path) as writer:
        for record in range(RECORDS):
            blob = rng.bytes(int(rng.integers(0, 300)))
            ints = [int(value) for value in rng.integers(-(2**63), 2**63 - 1, int(rng.integers(0, 9)), np.int64)]
            floats = rng.standard_normal(int(rng.integers(0, 9))).astype("<f4")
            parts = [rng.bytes(5) for _ in range(2 + record % 3)]
            feature = {
                "blob": bytes_feature(blob),
                "ints": tf.train.Feature(int64_list=tf.train.Int64List(value=ints)),
                "floats": tf.train.Feature(float_list=tf.train.FloatList(value=floats)),
                "parts": bytes_feature(*parts),
            }
            example = tf.train.Example(features=tf.train.Features(feature=feature))
            writer.write(example.SerializeToString())
            written.append(
                {
                    "blob": blob.hex(),
                    "ints": [str(value) for value in ints],
                    "floats": floats.tobytes().hex(),
                    "parts": [part.hex() for part in parts],
                }
            )
    return written


def write_webdataset(path, rng):
    written = []
    with wds.TarWriter(path) as writer:
        for record in range(RECORDS):
            image = rng.bytes(int(rng.integers(1, 2000)))
            array = rng.integers(-100, 100, (int(rng.integers(0, 4)), 3)).astype("<i2")
            label = int(rng.integers(0, 1000))
            text = "".join(chr(value) for value in rng.integers(0x4E00, 0x4F00, 7))
            sample = {
                "__key__": f"dir/sample{record:04}",
                "jpg": image,
                "array.npy": array,
                "cls": label,
                "txt": text,
                "json": {"record": record, "text": text},
            }
            writer.write(sample)
            written.append({"jpg": image.hex(), "array": array.tobytes().hex(), "shape": array.shape, "cls": label, "txt": text})
    return written


def write_npy(directory, rng):
    arrays = {
        "x": rng.standard_normal((RECORDS, 2, 3)).astype("<f8"),
        "big_endian": rng.integers(0, 2**31, RECORDS).astype(">i4"),
        "fortran": np.asfortranarray(rng.standard_normal((RECORDS, 4)).astype("<f4")),
        "text": np.array([f"row {row}" * (row % 3) for row in range(RECORDS)]),
    }
    for name, array in arrays.items():
        np.save(f"{directory}/fresh.{name}.npy", array)
    little = {name: arrays[name].astype(arrays[name].dtype.newbyteorder("<")) for name in ["x", "big_endian", "fortran"]}
    np.savez(f"{directory}/fresh.npz", **arrays)
    np.savez_compressed(f"{directory}/deflated.npz", **arrays)
    contiguous = {name: np.ascontiguousarray(array) for name, array in little.items()}
    safetensors.numpy.save_file(contiguous, f"{directory}/fresh.safetensors")
    numbers = {name: [np.ascontiguousarray(row).tobytes().hex() for row in array] for name, array in little.items()}
    return {**numbers, "text": arrays["text"].tolist()}


def write_parquet(path, rng):
    lists = [rng.integers(-(2**63), 2**63 - 1, int(n), np.int64) for n in rng.integers(0, 9, RECORDS)]
    floats = rng.standard_normal(RECORDS).astype("<f4")
    blobs = [None if n % 5 == 0 else rng.bytes(int(n)) for n in rng.integers(0, 300, RECORDS)]
    texts = [f"row {row % 7}" for row in range(RECORDS)]
    table = pa.table({"ints": lists, "float": floats, "blob": pa.array(blobs, pa.binary()), "text": texts})
    pq.write_table(table, path, row_group_size=17)
    return [
        {
            "ints": [str(value) for value in lists[row]],
            "float": floats[row].tobytes().hex(),
            "blob": None if blobs[row] is None else blobs[row].hex(),
            "text": texts[row],
        }
        for row in range(RECORDS)
    ]


def main(directory, seed):
    rng = np.random.default_rng(int(seed))
    written = {
        "tfrecord": write_tfrecord(f"{directory}/fresh.tfrecord", rng),
        "webdataset": write_webdataset(f"{directory}/fresh.tar", rng),
        "npy": write_npy(directory, rng),
        "parquet": write_parquet(f"{directory}/fresh.parquet", rng),
    }
    json.dump(written, sys.stdout)


main(*sys.argv[1:])
