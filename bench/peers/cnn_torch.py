"""The network of bench/cnn.mjs in PyTorch: for each line with a number of steps, prints the milliseconds of each as JSON."""

import json
import sys
import time

import torch
from torch import nn

torch.set_num_threads(2)
torch.manual_seed(1)
shape = json.loads(sys.argv[1])
size, channels, batch = shape["size"], shape["channels"], shape["batch"]
first, second = shape["filters"]
model = nn.Sequential(
    nn.Conv2d(channels, first, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(first, second, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(second * (size // 4) ** 2, 128), nn.ReLU(), nn.Linear(128, 10),
)
optimizer = torch.optim.Adam(model.parameters(), 0.001, fused=True)
x = torch.rand(batch, channels, size, size)
y = torch.arange(batch) % 10


def step():
    optimizer.zero_grad(set_to_none=True)
    loss = nn.functional.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss.item()


for line in sys.stdin:
    times = []
    for _ in range(int(line)):
        start = time.perf_counter()
        step()
        times.append((time.perf_counter() - start) * 1000)
    print(json.dumps(times), flush=True)
