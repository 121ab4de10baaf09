"""What webdataset reads out of a pipe from kdata, as JSON: webdataset_pipe.py IMAGES LABELS BAD NODE MAIN."""

import io
import json
import shlex
import sys

import numpy as np
import webdataset as wds

images, labels, bad, *command = sys.argv[1:]


def pipe(*arguments: str) -> str:
    return "pipe:" + shlex.join([*command, "cat", *arguments, "--to", "webdataset", "--progress", "none"])


def samples(url: str):
    return wds.WebDataset(url, shardshuffle=False, empty_check=False)


stored = np.fromfile(images, np.uint8)[16:].reshape(-1, 28, 28), np.fromfile(labels, np.uint8)[8:]
rows = []
same = True
for sample in samples(pipe(images, labels, "--shuffle", "--seed", "3")):
    row = int(sample["__key__"].rsplit("/", 1)[1])
    rows.append(row)
    image = np.load(io.BytesIO(sample["image.npy"]))
    same = same and np.array_equal(image, stored[0][row]) and int(sample["label.cls"] if "label.cls" in sample else np.load(io.BytesIO(sample["label.npy"]))) == stored[1][row]

first = next(iter(samples(pipe(images, labels))))["__key__"]

try:
    for sample in samples(pipe(bad)):
        pass
    error = "none"
except Exception as caught:
    error = type(caught).__name__

json.dump({"same": bool(same), "rows": [len(rows), len(set(rows)), rows == sorted(rows)], "first": first, "error": error}, sys.stdout)
