"""Reads what kdata wrote with TensorFlow, webdataset, tarfile, numpy, safetensors and pyarrow, and prints what they see as JSON.

usage: read_back.py MNIST_IMAGES MNIST_LABELS DIRECTORY
"""

import json
import sys
import tarfile
import warnings
import zipfile

import numpy as np
import pyarrow.parquet as pq
import safetensors
import safetensors.numpy
import tensorflow as tf
import webdataset as wds

warnings.simplefilter("error")
warnings.simplefilter("ignore", ResourceWarning)  # webdataset leaves the file open


def idx(path):
    with open(path, "rb") as file:
        data = file.read()
    rank = data[3]
    shape = np.frombuffer(data, ">u4", rank, 4)
    return np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape)


def mnist_from_tfrecord(path):
    spec = {"image": tf.io.FixedLenFeature([], tf.string), "label": tf.io.FixedLenFeature([], tf.int64)}
    dataset = tf.data.TFRecordDataset(path).batch(1000).map(lambda records: tf.io.parse_example(records, spec))
    images, labels = [], []
    for batch in dataset:
        images.append(tf.reshape(tf.io.decode_raw(batch["image"], tf.uint8), [-1, 28, 28]).numpy())
        labels.append(batch["label"].numpy())
    return np.concatenate(images), np.concatenate(labels)


def mnist_from_webdataset(path):
    dataset = wds.WebDataset(path, shardshuffle=False).decode()
    samples = list(dataset)
    keys = [sample["__key__"] for sample in samples]
    return np.stack([s["image.npy"] for s in samples]), np.array([s["label.cls"] for s in samples]), keys


def describe_feature(feature):
    kind = feature.WhichOneof("kind")
    if kind == "bytes_list":
        return {"bytes": [value.hex() for value in feature.bytes_list.value]}
    if kind == "int64_list":
        return {"int64": [str(value) for value in feature.int64_list.value]}
    if kind == "float_list":
        return {"float": np.array(feature.float_list.value, "<f4").tobytes().hex()}
    return {}


def examples(path):
    described = []
    for record in tf.data.TFRecordDataset(path):
        example = tf.train.Example.FromString(record.numpy())
        described.append({name: describe_feature(example.features.feature[name]) for name in example.features.feature})
    return described


def describe_array(array):
    return {"dtype": array.dtype.str, "shape": list(array.shape), "bytes": array.tobytes().hex()}


def describe_value(value):
    if isinstance(value, np.ndarray):
        return describe_array(value)
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    return {"value": value}


def webdataset_samples(path):
    described = []
    for sample in wds.WebDataset(path, shardshuffle=False).decode():
        fields = {name: describe_value(value) for name, value in sample.items() if not name.startswith("__")}
        described.append({"key": sample["__key__"], "fields": fields})
    return described


def npz_arrays(path):
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def tensors_and_metadata(path):
    with safetensors.safe_open(path, "numpy") as file:
        return file.metadata(), {name: describe_array(file.get_tensor(name)) for name in file.keys()}


def parquet(path):
    """The types and the values of a file, whose page checksums hold."""
    table = pq.read_table(path, page_checksum_verification=True)
    rows = [{name: plain(value) for name, value in row.items()} for row in table.to_pylist()]
    return [{field.name: str(field.type) for field in table.schema}, rows]


def plain(value):
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, float) and value != value:
        return "nan"
    return str(value) if isinstance(value, int) and abs(value) > 2**53 else value


def mnist_from_parquet(path):
    table = pq.read_table(path, page_checksum_verification=True)
    images = np.stack([np.frombuffer(value, np.uint8).reshape(28, 28) for value in table["image"].to_pylist()])
    return images, table["label"].to_numpy()


def main(images_path, labels_path, directory):
    images, labels = idx(images_path), idx(labels_path)
    tf_images, tf_labels = mnist_from_tfrecord(f"{directory}/t10k.tfrecord")
    pq_images, pq_labels = mnist_from_parquet(f"{directory}/t10k.parquet")
    wds_images, wds_labels, wds_keys = mnist_from_webdataset(f"{directory}/t10k.tar")
    np_images = np.load(f"{directory}/t10k.image.npy", allow_pickle=False)
    np_labels = np.load(f"{directory}/t10k.label.npy", allow_pickle=False)
    np_archive = npz_arrays(f"{directory}/t10k.npz")
    tensors = safetensors.numpy.load_file(f"{directory}/t10k.safetensors")
    with zipfile.ZipFile(f"{directory}/t10k.npz") as archive:
        damaged = archive.testzip()
    with tarfile.open(f"{directory}/t10k.tar") as tar:
        members = tar.getmembers()
    result = {
        "tensorflow": bool(np.array_equal(tf_images, images) and np.array_equal(tf_labels, labels)),
        "webdataset": bool(np.array_equal(wds_images, images) and np.array_equal(wds_labels, labels)),
        "webdataset_keys": [wds_keys[0], wds_keys[-1], len(set(wds_keys))],
        "tarfile": [len(members), members[0].name, all(member.isfile() for member in members)],
        "numpy": bool(np.array_equal(np_images, images) and np.array_equal(np_labels, labels)),
        "numpy_dtypes": [np_images.dtype.str, np_labels.dtype.str],
        "npz": bool(np.array_equal(np_archive["image"], images) and np.array_equal(np_archive["label"], labels)),
        "npz_dtypes": [np_archive["image"].dtype.str, np_archive["label"].dtype.str],
        "zipfile": damaged,
        "safetensors": bool(np.array_equal(tensors["image"], images) and np.array_equal(tensors["label"], labels)),
        "plain": safetensors.numpy.save(safetensors.numpy.load_file(f"{directory}/plain.safetensors")).hex(),
        "tensors": tensors_and_metadata(f"{directory}/rows.safetensors"),
        "members": {name: describe_array(array) for name, array in npz_arrays(f"{directory}/rows.npz").items()},
        "examples": examples(f"{directory}/exotic.tfrecord"),
        "parquet": bool(np.array_equal(pq_images, images) and np.array_equal(pq_labels, labels)),
        "table": parquet(f"{directory}/exotic.parquet"),
        "samples": webdataset_samples(f"{directory}/exotic.tar"),
        "arrays": {
            name: describe_array(np.load(f"{directory}/rows.{name}.npy", allow_pickle=False))
            for name in ["half", "flag", "big", "name", "raw", "__key__"]
        },
    }
    json.dump(result, sys.stdout)


main(*sys.argv[1:])
