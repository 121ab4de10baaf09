"""Trains the models of test/trainer/models.ts in torch or in Keras, from the weights and with the data that kdata wrote.

    models.py torch|keras FOLDER

FOLDER has <name>.safetensors for each model: x, y and the weights by kdata's names. Prints {name: [loss of each step]}.
"""

import json
import os
import sys

from safetensors.numpy import load_file

STEPS = 50
EPSILON = 1e-7  # of Adam
LORA_SCALE = 2.0  # alpha / rank
BATCH_NORM_EPSILON = 1e-3
LAYER_NORM_EPSILON = 1e-3
MODEL = "model/"


def train_in_torch(name, x, y, weights):
    import torch
    from torch.nn import functional as F

    torch.set_num_threads(1)  # more only wait for each other at these sizes
    lora = [path for path in weights if "lora_" in path]
    p = {path: torch.tensor(value) for path, value in weights.items()}
    trained = lora or [path for path in p if "moving" not in path]
    for path in trained:
        p[path].requires_grad_(True)
    x, y = torch.tensor(x), torch.tensor(y).long()

    def matrix(path):
        kernel = p[path + "/kernel"]
        if path + "/lora_kernel_a" not in p:
            return kernel
        return kernel + (p[path + "/lora_kernel_a"] @ p[path + "/lora_kernel_b"]) * LORA_SCALE

    def dense(path, x):
        return x @ matrix(path) + p[path + "/bias"]

    def layer_norm(path, x):
        return F.layer_norm(x, x.shape[-1:], p[path + "/gamma"], p[path + "/beta"], LAYER_NORM_EPSILON)

    def attention(path, x, causal):
        heads = [
            torch.einsum("bti,ihd->bhtd", x, matrix(f"{path}/{part}")) + p[f"{path}/{part}/bias"][:, None, :]
            for part in ("query", "key", "value")
        ]
        seen = F.scaled_dot_product_attention(*heads, is_causal=causal)
        return torch.einsum("bhtd,hdo->bto", seen, matrix(path + "/attentionOutput")) + p[path + "/attentionOutput/bias"]

    def block(path, x, causal):
        x = x + attention(path + "/attention", layer_norm(path + "/norm1", x), causal)
        hidden = F.gelu(dense(path + "/mlp/up", layer_norm(path + "/norm2", x)))
        return x + dense(path + "/mlp/down", hidden)

    def blocks(x, causal):
        return layer_norm("norm", block("blocks/1", block("blocks/0", x, causal), causal))

    def conv(path, x, **options):
        return F.conv2d(x, p[path + "/kernel"].permute(3, 2, 0, 1), p.get(path + "/bias"), **options)

    def batch_norm(path, x):  # its averages take no part in the losses of training
        return F.batch_norm(x, None, None, p[path + "/gamma"], p[path + "/beta"], training=True, eps=BATCH_NORM_EPSILON)

    def mlp(x):
        return dense("dense_2", F.gelu(dense("dense_1", F.relu(dense("dense", x)))))

    def cnn(x):
        x = F.relu(batch_norm("norm1", conv("conv1", x.permute(0, 3, 1, 2), padding=1)))
        padded = F.pad(F.max_pool2d(x, 2), (0, 1, 0, 1))  # "same" with strides puts the padding behind
        x = F.relu(batch_norm("norm2", conv("conv2", padded, stride=2)))
        return dense("head", x.mean((2, 3)))

    def vit(x):
        patches = conv("patches", x.permute(0, 3, 1, 2), stride=4).permute(0, 2, 3, 1).flatten(1, 2)
        return dense("head", blocks(patches + p["position/positionEmbeddings"], causal=False).mean(1))

    def language_model(x):
        embedded = p["tokens/embeddings"][x.long()] + p["position/positionEmbeddings"][: x.shape[1]]
        return dense("head", blocks(embedded, causal=True))

    parameters = [p[path] for path in trained]
    model, optimizer = {
        "MLP": (mlp, torch.optim.Adam(parameters, lr=0.004)),
        "CNN with batchNorm": (cnn, torch.optim.SGD(parameters, lr=0.01, momentum=0.9)),
        "ViT": (vit, torch.optim.AdamW(parameters, lr=0.001, weight_decay=0.01)),
        "LM with LoRA": (language_model, torch.optim.Adam(parameters, lr=0.01)),
    }[name]
    losses = []
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        # Keras and kdata add epsilon before the second moment's bias is corrected, torch behind: the same formula with this one.
        if "eps" in optimizer.defaults:
            optimizer.param_groups[0]["eps"] = EPSILON / (1 - 0.999**step) ** 0.5
        logits = model(x)
        loss = F.cross_entropy(logits.reshape(-1, logits.shape[-1]), y.reshape(-1))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def train_in_keras(name, x, y, weights):
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    import keras
    from keras import layers

    class Position(layers.Layer):
        def build(self, shape):
            self.table = self.add_weight(shape=shape[1:], name="positionEmbeddings")

        def call(self, x):
            return x + self.table

    def block(path, x, causal):
        norm = layers.LayerNormalization(epsilon=LAYER_NORM_EPSILON, name=f"{path}.norm1")(x)
        attention = layers.MultiHeadAttention(2, 8, name=f"{path}.attention")
        x = x + attention(norm, norm, use_causal_mask=causal)
        norm = layers.LayerNormalization(epsilon=LAYER_NORM_EPSILON, name=f"{path}.norm2")(x)
        up = layers.Dense(32, "gelu", name=f"{path}.mlp.up")(norm)
        return x + layers.Dense(x.shape[-1], name=f"{path}.mlp.down")(up)

    def blocks(x, causal):
        x = block("blocks.1", block("blocks.0", x, causal), causal)
        return layers.LayerNormalization(epsilon=LAYER_NORM_EPSILON, name="norm")(x)

    def mlp(x):
        x = layers.Dense(24, "relu", name="dense")(x)
        return layers.Dense(5, name="dense_2")(layers.Dense(16, "gelu", name="dense_1")(x))

    def cnn(x):
        x = layers.BatchNormalization(name="norm1")(layers.Conv2D(4, 3, padding="same", name="conv1")(x))
        x = layers.MaxPooling2D()(layers.ReLU()(x))
        x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False, name="conv2")(x)
        x = layers.ReLU()(layers.BatchNormalization(momentum=0.9, name="norm2")(x))
        return layers.Dense(4, name="head")(layers.GlobalAveragePooling2D()(x))

    def vit(x):
        patches = layers.Reshape((4, 16))(layers.Conv2D(16, 4, strides=4, name="patches")(x))
        return layers.Dense(4, name="head")(
            layers.GlobalAveragePooling1D()(blocks(Position(name="position")(patches), causal=False))
        )

    def language_model(x):
        embedded = Position(name="position")(layers.Embedding(11, 16, name="tokens")(x))
        return layers.Dense(11, name="head")(blocks(embedded, causal=True))

    build, optimizer = {
        "MLP": (mlp, keras.optimizers.Adam(0.004)),
        "CNN with batchNorm": (cnn, keras.optimizers.SGD(0.01, momentum=0.9)),
        "ViT": (vit, keras.optimizers.AdamW(0.001, weight_decay=0.01)),
        "LM with LoRA": (language_model, keras.optimizers.Adam(0.01)),
    }[name]
    image = keras.Input(x.shape[1:], dtype=str(x.dtype))
    model = keras.Model(image, build(image))

    def parts():
        for layer in model.layers:
            path = layer.name.replace(".", "/")  # a name may hold no slash
            yield path, layer
            if isinstance(layer, layers.MultiHeadAttention):
                for ours, theirs in (
                    ("query", layer.query_dense),
                    ("key", layer.key_dense),
                    ("value", layer.value_dense),
                    ("attentionOutput", layer.output_dense),
                ):
                    yield f"{path}/{ours}", theirs

    if any("lora_" in path for path in weights):
        for path, layer in parts():
            layer.trainable = path.split("/")[-1] in ("attention", "query", "value", "head")
            if path + "/lora_kernel_a" in weights:
                layer.enable_lora(2, lora_alpha=4)
                layer.bias.trainable = False

    named = {}
    for path, layer in parts():
        if isinstance(layer, layers.MultiHeadAttention):
            continue
        for variable in layer.weights:
            named[f"{path}/{KERAS_NAMES.get(variable.name, variable.name)}"] = variable
            if variable.name == "kernel" and getattr(layer, "lora_enabled", False):
                named[f"{path}/kernel"] = layer._kernel
    if set(named) != set(weights):
        raise SystemExit(f"{name}: the weights differ: {sorted(set(named) ^ set(weights))}")
    for path, variable in named.items():
        variable.assign(weights[path])
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model.fit(x, y, batch_size=len(x), epochs=STEPS, shuffle=False, verbose=0).history["loss"]


KERAS_NAMES = {"moving_mean": "movingMean", "moving_variance": "movingVariance"}


def main(framework, folder):
    train = {"torch": train_in_torch, "keras": train_in_keras}[framework]
    losses = {}
    for file in sorted(os.listdir(folder)):
        tensors = load_file(os.path.join(folder, file))
        weights = {path[len(MODEL) :]: value for path, value in tensors.items() if path.startswith(MODEL)}
        name = file.removesuffix(".safetensors")
        losses[name] = [float(loss) for loss in train(name, tensors["x"], tensors["y"], weights)]
    print(json.dumps(losses))


if __name__ == "__main__":
    main(*sys.argv[1:])
