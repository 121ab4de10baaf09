"""The models of bench/trainer-models.mjs in Keras 3. A layer's name is its path in the weights, with `__` for `/`."""

import os

import keras
from keras import layers, ops

NORM_EPSILON = 1e-6


def open_step(spec, weights, x, y, threads, compiled):
    if os.environ["KERAS_BACKEND"] == "torch":
        import torch

        torch.set_num_threads(threads)
    dtype = "int32" if spec["kind"] == "lm" else "float32"
    inputs = layers.Input(x.shape[1:], batch_size=spec["batch"], dtype=dtype)
    model = keras.Model(inputs, MODELS[spec["kind"]](spec, inputs))
    if "rank" in spec:
        adapt(model, spec["rank"])
    load(model, weights)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-4, epsilon=1e-7), loss=loss, jit_compile="auto")
    if os.environ["KERAS_BACKEND"] == "jax":
        return jax_step(model, x, y)
    return lambda: float(model.train_on_batch(x, y))


def jax_step(model, x, y):
    """Keras' own compiled step, the state handed from one to the next as `fit` does: `train_on_batch` puts it into the layers each time."""
    import jax

    model._symbolic_build(data_batch=(x, y))
    model.make_train_function()
    state = model._get_jax_state(
        trainable_variables=True, non_trainable_variables=True, optimizer_variables=True, metrics_variables=True, purge_model_variables=True
    )
    x, y = jax.numpy.asarray(x), jax.numpy.asarray(y)

    def step():
        nonlocal state
        fresh = [jax.numpy.zeros_like(variable) for variable in state[3]]  # the loss of this step, not the mean of all
        logs, state = model.train_function((*state[:3], fresh), iter([(x, y)]))
        return float(logs["loss"])

    return step


def adapt(model, rank):
    """Freezes everything but a low-rank part of queries and values."""
    for layer in model.layers:
        if not isinstance(layer, layers.MultiHeadAttention):
            layer.trainable = False
            continue
        for part in (layer._query_dense, layer._value_dense):
            part.enable_lora(rank)
            part.bias.trainable = False
        layer._key_dense.trainable = layer._output_dense.trainable = False


def load(model, weights):
    left = dict(weights)
    for layer in model.layers:
        path = layer.name.replace("__", "/")
        parts = {path: layer}
        if isinstance(layer, layers.MultiHeadAttention):
            parts = {
                f"{path}/query": layer._query_dense,
                f"{path}/key": layer._key_dense,
                f"{path}/value": layer._value_dense,
                f"{path}/attentionOutput": layer._output_dense,
            }
        for prefix, part in parts.items():
            for variable in part.weights:
                name = variable.name if variable.name != "embeddings" or not isinstance(layer, Position) else "positionEmbeddings"
                variable.assign(left.pop(f"{prefix}/{name}"))
    if left:
        raise ValueError(f"weights that no layer has: {sorted(left)}")


class Position(layers.Layer):
    """Adds a learned vector for each place."""

    def build(self, shape):
        self.embeddings = self.add_weight(shape=shape[1:], name="embeddings")

    def call(self, x):
        return x + self.embeddings


class Patches(layers.Layer):
    def __init__(self, size):
        super().__init__()
        self.size = size

    def call(self, images):
        batch, height, width, channels = images.shape
        rows, columns, size = height // self.size, width // self.size, self.size
        cut = ops.transpose(ops.reshape(images, (batch, rows, size, columns, size, channels)), (0, 1, 3, 2, 4, 5))
        return ops.reshape(cut, (batch, rows * columns, size * size * channels))


def block(spec, path, x, is_causal):
    heads = spec["heads"]
    y = layers.LayerNormalization(epsilon=NORM_EPSILON, name=f"{path}__attentionNorm")(x)
    attention = layers.MultiHeadAttention(heads, spec["dim"] // heads, name=f"{path}__attention")
    x = layers.Add()([x, attention(y, y, use_causal_mask=is_causal)])
    y = layers.LayerNormalization(epsilon=NORM_EPSILON, name=f"{path}__mlpNorm")(x)
    y = layers.Dense(4 * spec["dim"], lambda value: ops.gelu(value, approximate=False), name=f"{path}__up")(y)
    return layers.Add()([x, layers.Dense(spec["dim"], name=f"{path}__down")(y)])


def mlp(spec, x):
    x = layers.Dense(spec["hidden"], "relu", name="first")(x)
    return layers.Dense(spec["classes"], name="head")(layers.Dense(spec["hidden"], "relu", name="second")(x))


def cnn(spec, x):
    for name, filters in zip(("first", "second"), spec["filters"]):
        x = layers.MaxPooling2D()(layers.Conv2D(filters, 3, padding="same", activation="relu", name=name)(x))
    x = layers.Dense(spec["units"], "relu", name="units")(layers.Flatten()(x))
    return layers.Dense(spec["classes"], name="head")(x)


def vit(spec, images):
    x = Position(name="position")(layers.Dense(spec["dim"], name="projection")(Patches(spec["patch"])(images)))
    for i in range(spec["blocks"]):
        x = block(spec, f"blocks__{i}", x, False)
    x = layers.LayerNormalization(epsilon=NORM_EPSILON, name="norm")(x)
    return layers.Dense(spec["classes"], name="head")(layers.GlobalAveragePooling1D()(x))


def lm(spec, tokens):
    x = Position(name="position")(layers.Embedding(spec["vocabulary"], spec["dim"], name="embedding")(tokens))
    for i in range(spec["blocks"]):
        x = block(spec, f"blocks__{i}", x, True)
    return layers.Dense(spec["vocabulary"], name="head")(layers.LayerNormalization(epsilon=NORM_EPSILON, name="norm")(x))


MODELS = {"mlp": mlp, "cnn": cnn, "vit": vit, "lm": lm}
