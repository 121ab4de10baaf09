"""Trains the models of bench/trainer-models.mjs. Each line is a request in JSON: `model`, a description to make and `weights` to start
from where it is to be another one, and how many `steps` to make. The answer is a line with the milliseconds and the loss of each, and
the largest resident memory in MiB so far, or what is `missing`.

usage: trainer.py torch|"torch compiled"|keras-jax|keras-torch
"""

import json
import os
import resource
import sys
import time

THREADS = 2
os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={THREADS}"
os.environ["OMP_NUM_THREADS"] = str(THREADS)
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def read_weights(path):
    """Reads safetensors of float32: https://huggingface.co/docs/safetensors. Gives arrays by the paths of the model's parameters."""
    import numpy

    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        body = file.read()
    header.pop("__metadata__", None)
    weights = {}
    for name, entry in header.items():
        start, end = entry["data_offsets"]
        weights[name.removeprefix("model/")] = numpy.frombuffer(body[start:end], "<f4").reshape(entry["shape"]).copy()
    return weights


def batch_of(spec):
    """Makes the same numbers as `featuresOf` does in JavaScript."""
    import numpy

    batch = spec["batch"]
    if spec["kind"] == "lm":
        places = numpy.arange(batch * spec["length"]).reshape(batch, spec["length"])
        token = lambda i: ((i * 7919 + 13) % spec["vocabulary"]).astype("int64")
        return token(places), token(places + 1)
    shape = (batch, spec["inputs"]) if spec["kind"] == "mlp" else (batch, spec["size"], spec["size"], spec.get("channels", 3))
    elements = numpy.arange(numpy.prod(shape), dtype="int64").reshape(shape)
    return ((elements * 7919) % 1009 / 1009 - 0.5).astype("float32"), numpy.arange(batch) % spec["classes"]


def open_model(way, spec, weights):
    """Gives a function that makes one step and returns its loss."""
    x, y = batch_of(spec)
    if way.startswith("keras-"):
        os.environ["KERAS_BACKEND"] = way.removeprefix("keras-")
        from trainer_keras import open_step
    else:
        from trainer_torch import open_step
    return open_step(spec, read_weights(weights), x, y, threads=THREADS, compiled=way == "torch compiled")


def main(way):
    step = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "model" in request:
                step = None
                step = open_model(way, request["model"], request["weights"])
            times, losses = [], []
            for _ in range(request["steps"]):
                start = time.perf_counter()
                losses.append(step())
                times.append((time.perf_counter() - start) * 1000)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            answer = {"times": times, "losses": losses, "peakMib": peak}
        except Exception as error:  # not installed, or a compiler that is not there
            answer = {"missing": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(answer), flush=True)


main(*sys.argv[1:])
