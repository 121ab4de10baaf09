"""Reads damaged files with the tools that people use now: one file a line, as JSON in, as JSON out.

In: {"reader": NAME, "format": FORMAT, "path": PATH}. Out: {"attempts": [{"digests": [...], "error": {...}?}], "peak": MIB}, or {"missing": MODULE}.
"""

import hashlib
import json
import os
import resource
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


def tf_data(path):
    import tensorflow as tf

    for record in tf.data.TFRecordDataset(path):
        yield tf.train.Example.FromString(record.numpy()).SerializeToString(deterministic=True)


def tfrecord(path):
    from tfrecord import reader

    for features in reader.tfrecord_loader(path, None):
        yield sorted((name, values.tobytes(), str(values.dtype)) if hasattr(values, "tobytes") else (name, values) for name, values in features.items())


def webdataset(path):
    import webdataset

    for sample in webdataset.WebDataset(path, shardshuffle=False):
        yield sorted((name, value) for name, value in sample.items() if name not in ("__url__", "__local_path__"))


def tarfile(path):
    import tarfile

    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile():
                yield member.name, archive.extractfile(member).read()


def numpy(path):
    import numpy

    loaded = numpy.load(path)
    arrays = [loaded] if hasattr(loaded, "dtype") else [loaded[name] for name in loaded.files]
    names = [""] if hasattr(loaded, "dtype") else loaded.files
    for name, array in zip(names, arrays):
        yield name, str(array.dtype), array.shape, array.tobytes()


def torch(path):
    import numpy
    from torch.utils.data import DataLoader

    rows = numpy.load(path, mmap_mode="r")
    for batch in DataLoader(rows, batch_size=4, collate_fn=lambda items: numpy.stack([numpy.array(item) for item in items])):
        yield str(batch.dtype), batch.shape, batch.tobytes()


def pyarrow(path, verify=False):
    import pyarrow.parquet

    table = pyarrow.parquet.ParquetFile(path, page_checksum_verification=verify).read()
    yield from (repr(row) for row in table.to_pylist())


def json_lines(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            yield repr(json.loads(line))


readers = {
    "tf.data": tf_data,
    "tfrecord": tfrecord,
    "webdataset": webdataset,
    "tarfile": tarfile,
    "numpy": numpy,
    "torch DataLoader over numpy": torch,
    "pyarrow": pyarrow,
    "pyarrow, checksums on": lambda path: pyarrow(path, True),
    "Python's json": json_lines,
}


def attempt(read, path):
    digests = []
    try:
        for sample in read(path):
            digests.append(hashlib.sha1(repr(sample).encode()).hexdigest()[:12])
    except ImportError:
        raise
    except Exception as error:
        return {"digests": digests, "error": {"type": type(error).__name__, "message": str(error)}}
    return {"digests": digests}


for line in sys.stdin:
    request = json.loads(line)
    try:
        answer = {"attempts": [attempt(readers[request["reader"]], request["path"])]}
        answer["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    except ImportError as error:
        answer = {"missing": error.name}
    print(json.dumps(answer), flush=True)
