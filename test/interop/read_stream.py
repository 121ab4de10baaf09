"""What Python sees of `kdata cat`, as JSON: read_stream.py MNIST_IMAGES MNIST_LABELS FOLDER NODE MAIN."""

import gc
import hashlib
import io
import json
import os
import subprocess
import sys
import warnings

import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "examples", "python"))
from kdata_reader import Kdata, KdataError, read_stream  # noqa: E402

images, labels, folder, *command = sys.argv[1:]
warnings.simplefilter("error")


def data(*spec: str, **options: object) -> Kdata:
    return Kdata(*spec, command=command, **options)


def error_of(*spec: str, **options: object) -> list[str]:
    try:
        for _ in data(*spec, **options):
            pass
    except KdataError as error:
        return [error.code, str(error)]
    return ["none", ""]


def digest(*arrays: np.ndarray) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()


def children() -> list[str]:
    listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(os.getpid())], capture_output=True, text=True)
    return [line for line in listed.stdout.splitlines() if " cat " in line]


seen: dict[str, object] = {}

stored = np.fromfile(images, np.uint8)[16:].reshape(-1, 28, 28), np.fromfile(labels, np.uint8)[8:]
batches = list(data(images, labels, batch=300, workers=1))
got = np.concatenate([batch["image"] for batch in batches]), np.concatenate([batch["label"] for batch in batches])
seen["mnist"] = digest(*got) == digest(*stored)
seen["mnist_dtypes"] = [got[0].dtype.str, got[0].shape, got[1].dtype.str, got[1].shape]
seen["mnist_batches"] = [len(batches), batches[-1].size, batches[-1].step, batches[0].sample_keys[:2]]
seen["steps"] = data(images, labels, batch=300).steps()

# Each epoch in another order, and each of them whole.
orders: dict[int, list[str]] = {}
for batch in data(images, labels, batch=1000, shuffle=True, seed=7, epochs=2):
    orders.setdefault(batch.epoch, []).extend(batch.sample_keys)
seen["orders"] = [len(set(orders[0])), len(set(orders[1])), orders[0] == orders[1]]

kinds = os.path.join(folder, "kinds.jsonl")
(batch,) = data(kinds, batch=8)
seen["kinds"] = {
    name: [value.dtype.str, value.shape, value.tobytes().hex()] if isinstance(value, np.ndarray)
    else [item.hex() if isinstance(item, bytes) else [part.hex() for part in item] if name == "list" else item for item in value]
    for name, value in batch.items()
}

seen["errors"] = {
    "bad": error_of(os.path.join(folder, "bad.tfrecord"), batch=1),
    "missing": error_of(os.path.join(folder, "none.tfrecord")),
    "usage": error_of(kinds, bacth=3),
    "flag": error_of(kinds, batch="x"),
}

# Cut anywhere, a stream is an error, and never other batches than the first ones.
whole = subprocess.run([*command, "cat", kinds, "--batch", "1", "--progress", "none"], capture_output=True).stdout
outcomes = {}
for end in range(len(whole)):
    count = 0
    try:
        for _ in read_stream(io.BytesIO(whole[:end])):
            count += 1
        outcome = "whole"
    except KdataError as error:
        outcome = error.code
    except EOFError:
        outcome = "empty"
    outcomes[outcome] = outcomes.get(outcome, 0) + 1
seen["cuts"] = [sorted(outcomes), outcomes.get("empty"), len(list(read_stream(io.BytesIO(whole))))]

# A loop that is left early ends the process.
for batch in data(images, labels, batch=100, epochs=1000):
    break
gc.collect()
seen["children"] = children()

json.dump(seen, sys.stdout)
