"""The models of bench/trainer-models.mjs in PyTorch: functions of the weights by the same paths."""

import math

import torch
from torch.nn import functional as F

NORM_EPSILON = 1e-6
ADAM_EPSILON = 1e-7
ADAM_BETA_2 = 0.999


def open_step(spec, weights, x, y, threads, compiled):
    torch.set_num_threads(threads)
    is_lora = "rank" in spec
    parameters = {name: torch.from_numpy(array) for name, array in weights.items()}
    trained = [p.requires_grad_(True) for name, p in parameters.items() if not is_lora or "/lora_" in name]
    optimizer = torch.optim.Adam(trained, lr=1e-4, betas=(0.9, ADAM_BETA_2), fused=True)
    x, y = torch.from_numpy(x), torch.from_numpy(y).long()

    def loss_of(x, y):
        return F.cross_entropy(MODELS[spec["kind"]](spec, parameters, x).flatten(0, -2), y.flatten())

    loss_of = torch.compile(loss_of) if compiled else loss_of

    steps = 0

    def step():
        nonlocal steps
        steps += 1
        # Keras and kdata add epsilon before the bias of the second moment is corrected, torch after.
        optimizer.param_groups[0]["eps"] = ADAM_EPSILON / math.sqrt(1 - ADAM_BETA_2**steps)
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def dense(parameters, path, x):
    return torch.addmm(parameters[f"{path}/bias"], x.flatten(0, -2), parameters[f"{path}/kernel"]).unflatten(0, x.shape[:-1])


def norm(parameters, path, x):
    return F.layer_norm(x, x.shape[-1:], parameters[f"{path}/gamma"], parameters[f"{path}/beta"], NORM_EPSILON)


def project(parameters, path, x):
    """From [batch, length, n] to [batch, heads, length, size]; with the low-rank part, where there is one."""
    kernel = parameters[f"{path}/kernel"]
    if f"{path}/lora_kernel_a" in parameters:
        kernel = kernel + parameters[f"{path}/lora_kernel_a"] @ parameters[f"{path}/lora_kernel_b"]
    rows = torch.addmm(parameters[f"{path}/bias"].flatten(), x.flatten(0, -2), kernel.flatten(1))
    return rows.view(*x.shape[:-1], *kernel.shape[1:]).transpose(1, 2)


def block(parameters, path, x, is_causal):
    y = norm(parameters, f"{path}/attentionNorm", x)
    query, key, value = (project(parameters, f"{path}/attention/{name}", y) for name in ("query", "key", "value"))
    seen = F.scaled_dot_product_attention(query, key, value, is_causal=is_causal).transpose(1, 2).flatten(2)
    output = parameters[f"{path}/attention/attentionOutput/kernel"].flatten(0, 1)
    bias = parameters[f"{path}/attention/attentionOutput/bias"]
    x = x + torch.addmm(bias, seen.flatten(0, -2), output).view(x.shape)
    y = F.gelu(dense(parameters, f"{path}/up", norm(parameters, f"{path}/mlpNorm", x)))
    return x + dense(parameters, f"{path}/down", y)


def mlp(spec, parameters, x):
    return dense(parameters, "head", dense(parameters, "second", dense(parameters, "first", x).relu()).relu())


def cnn(spec, parameters, x):
    x = x.permute(0, 3, 1, 2)  # channels last in memory, as oneDNN likes them
    for name in ("first", "second"):
        kernel = parameters[f"{name}/kernel"].permute(3, 2, 0, 1)
        x = F.max_pool2d(F.conv2d(x, kernel, parameters[f"{name}/bias"], padding=1).relu(), 2)
    return dense(parameters, "head", dense(parameters, "units", x.permute(0, 2, 3, 1).flatten(1)).relu())


def vit(spec, parameters, images):
    batch, side, size = images.shape[0], spec["size"] // spec["patch"], spec["patch"]
    cut = images.view(batch, side, size, side, size, -1).permute(0, 1, 3, 2, 4, 5).reshape(batch, side * side, -1)
    x = dense(parameters, "projection", cut) + parameters["position/positionEmbeddings"]
    for i in range(spec["blocks"]):
        x = block(parameters, f"blocks/{i}", x, False)
    return dense(parameters, "head", norm(parameters, "norm", x).mean(1))


def lm(spec, parameters, tokens):
    x = F.embedding(tokens, parameters["embedding/embeddings"]) + parameters["position/positionEmbeddings"]
    for i in range(spec["blocks"]):
        x = block(parameters, f"blocks/{i}", x, True)
    return dense(parameters, "head", norm(parameters, "norm", x))


MODELS = {"mlp": mlp, "cnn": cnn, "vit": vit, "lm": lm}
