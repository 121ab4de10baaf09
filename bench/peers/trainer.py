"""Trains the model of bench/trainer.mjs: does as many steps as each line says, and answers with the milliseconds of each as JSON.

usage: trainer.py torch|"torch compiled"|keras-jax|keras-torch INPUTS HIDDEN CLASSES BATCH
"""

import json
import os
import sys
import time

THREADS = 2
os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen=true intra_op_parallelism_threads={THREADS}"
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"


def data(inputs, classes, batch):
    import numpy

    x = numpy.sin(numpy.arange(batch * inputs, dtype="float32")).reshape(batch, inputs)
    return x, (numpy.arange(batch) % classes).astype("int64")


def plain_torch(inputs, hidden, classes, batch, compiled):
    import torch

    torch.set_num_threads(THREADS)
    x, y = (torch.from_numpy(array) for array in data(inputs, classes, batch))
    layers = [torch.nn.Linear(inputs, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, hidden), torch.nn.ReLU(), torch.nn.Linear(hidden, classes)]
    model = torch.nn.Sequential(*layers)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    forward = torch.compile(model) if compiled else model

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(forward(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def keras_model(inputs, hidden, classes, batch, backend):
    os.environ["KERAS_BACKEND"] = backend
    import keras

    if backend == "torch":
        import torch

        torch.set_num_threads(THREADS)
    x, y = data(inputs, classes, batch)
    layers = keras.layers
    model = keras.Sequential([layers.Input((inputs,)), layers.Dense(hidden, "relu"), layers.Dense(hidden, "relu"), layers.Dense(classes)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss, jit_compile="auto")
    return lambda: float(model.train_on_batch(x, y))


def main(way, *sizes):
    sizes = [int(size) for size in sizes]
    try:
        step = keras_model(*sizes, way[len("keras-") :]) if way.startswith("keras-") else plain_torch(*sizes, way == "torch compiled")
        step()
    except Exception as error:  # not installed, or a compiler that is not there
        sys.stdin.readline()
        print(json.dumps({"missing": f"{type(error).__name__}: {error}"[:200]}), flush=True)
        return
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            start = time.perf_counter()
            step()
            times.append((time.perf_counter() - start) * 1000)
        print(json.dumps({"times": times}), flush=True)


main(*sys.argv[1:])
