"""Does what bench/formats.mjs measures with the tools that people use now: one job a line, as JSON in, as JSON out.

In: {"job": NAME, "path": PATH, ...}. Out: {"count": N, "seconds": S, "cpu": C}, or {"missing": MODULE} where a package is not installed, or {"failed": WHY}.
"""

import json
import os
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")


def parse_example(path, floats, batch):
    import tensorflow as tf

    spec = {"x": tf.io.FixedLenFeature([floats], tf.float32), "y": tf.io.FixedLenFeature([1], tf.int64)}
    dataset = tf.data.TFRecordDataset(path).batch(batch).map(lambda records: tf.io.parse_example(records, spec))
    return sum(int(parsed["y"].shape[0]) for parsed in dataset)


def tfrecord(path, floats, batch):
    from tfrecord import reader

    return sum(1 for _ in reader.tfrecord_loader(path, None, {"x": "float", "y": "int"}))


def webdataset(path):
    import webdataset

    return sum(1 for _ in webdataset.WebDataset(path, shardshuffle=False))


def numpy_batches(path, batch):
    import numpy

    array = numpy.load(path, mmap_mode="r")
    memory = numpy.empty((batch, *array.shape[1:]), array.dtype)
    for start in range(0, len(array), batch):
        rows = array[start : start + batch]
        memory[: len(rows)] = rows
    return len(array)


arrays = {}


def numpy_take(path, batch, batches):
    import numpy

    if path not in arrays:
        arrays[path] = numpy.load(path)
    array = arrays[path]
    memory = numpy.empty((batch, *array.shape[1:]), array.dtype)
    records = numpy.random.default_rng(0).integers(0, len(array), (batches, batch))
    start, cpu_start = time.perf_counter(), time.process_time()
    for each in records:
        numpy.take(array, each, axis=0, out=memory, mode="clip")
    return batch * batches, time.perf_counter() - start, time.process_time() - cpu_start


def convert(path, output):
    import tensorflow as tf
    import webdataset

    spec = {"jpg": tf.io.FixedLenFeature([], tf.string), "cls": tf.io.FixedLenFeature([], tf.int64)}
    dataset = tf.data.TFRecordDataset(path).map(lambda record: tf.io.parse_single_example(record, spec))
    count = 0
    with webdataset.ShardWriter(os.path.join(output, "peer-%06d.tar"), verbose=0) as writer:
        for example in dataset.as_numpy_iterator():
            writer.write({"__key__": f"{count:08d}", "jpg": example["jpg"], "cls": int(example["cls"])})
            count += 1
    return count


def json_lines(path):
    count = 0
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            json.loads(line)
            count += 1
    return count


jobs = {job.__name__: job for job in (parse_example, tfrecord, webdataset, numpy_batches, numpy_take, convert, json_lines)}

for line in sys.stdin:
    request = json.loads(line)
    job = jobs[request.pop("job")]
    start, cpu_start = time.perf_counter(), time.process_time()
    try:
        done = job(**request)
        if not isinstance(done, tuple):
            done = done, time.perf_counter() - start, time.process_time() - cpu_start
        answer = dict(zip(("count", "seconds", "cpu"), done))
    except ImportError as error:
        answer = {"missing": error.name}
    except Exception as error:  # some peers break on versions of what they use
        answer = {"failed": f"{type(error).__name__}: {error}"}
    print(json.dumps(answer), flush=True)
