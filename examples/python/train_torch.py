"""Trains a PyTorch model on any data set that kdata reads: python train_torch.py SPEC... [--epochs 3]

The features are `image` (uint8) and `label`. kdata shuffles, batches and decodes in a process of its own, so the DataLoader needs no workers.
"""

import argparse
from collections.abc import Iterator

import torch
from kdata_reader import Kdata
from torch import nn
from torch.utils.data import DataLoader, IterableDataset


class KdataDataset(IterableDataset[tuple[torch.Tensor, torch.Tensor]]):
    def __init__(self, *spec: str, **options: object) -> None:
        self.spec, self.options, self.epoch = spec, options, 0

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for batch in Kdata(*self.spec, start_epoch=self.epoch, **self.options):
            yield torch.from_numpy(batch["image"]), torch.from_numpy(batch["label"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("spec", nargs="+")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--command", nargs="+", default=["npx", "kdata"])
    arguments = parser.parse_args()

    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    dataset = KdataDataset(*arguments.spec, command=arguments.command, batch=128, shuffle=True, seed=42)
    for epoch in range(arguments.epochs):
        dataset.epoch = epoch  # another order
        right = seen = 0
        for image, label in DataLoader(dataset, batch_size=None):  # they are batches already
            scores = model(image.float() / 255)
            loss = nn.functional.cross_entropy(scores, label.long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += int((scores.argmax(1) == label).sum())
            seen += len(label)
        print(f"epoch {epoch}: {seen} samples, loss {loss.item():.4f}, accuracy {right / seen:.4f}")


if __name__ == "__main__":
    main()
