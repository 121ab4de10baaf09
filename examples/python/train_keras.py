"""Trains a Keras model on any data set that kdata reads: python train_keras.py SPEC... [--epochs 3]

The features are `image` (uint8) and `label`. Keras takes a generator; one process of kdata gives all epochs, each in another order.
"""

import argparse
from collections.abc import Iterator

import keras
import numpy as np
from kdata_reader import Kdata


def batches(data: Kdata) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for batch in data:
        yield batch["image"].astype("float32") / 255, batch["label"].astype("int32")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("spec", nargs="+")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--command", nargs="+", default=["npx", "kdata"])
    arguments = parser.parse_args()

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(128, "relu"), keras.layers.Dense(10)]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    data = Kdata(
        *arguments.spec, command=arguments.command, batch=128, shuffle=True, seed=42, epochs=arguments.epochs
    )
    fitted = model.fit(
        batches(data), epochs=arguments.epochs, steps_per_epoch=data.steps(), shuffle=False, verbose=0
    )
    history = fitted.history
    for epoch in range(arguments.epochs):
        print(f"epoch {epoch}: loss {history['loss'][epoch]:.4f}, accuracy {history['accuracy'][epoch]:.4f}")


if __name__ == "__main__":
    main()
