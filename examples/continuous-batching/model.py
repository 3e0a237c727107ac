"""A small decoder-only transformer in numpy.

The body has weights from a seed; only the last layer is trained, in a second, on the text beside
this file. So it knows no more of the world than a ferry and a lighthouse, but what it computes at
each step is what every model of this kind computes.

Everything is in float64. With 32-bit numbers the sums for one sequence would depend on how many
others are in the batch, in their last digits, and now and then a sampled token would too.
"""

import numpy as np

LAYERS = 8
HEADS = 4
WIDTH = 64
HEAD = WIDTH // HEADS
WINDOW = 32  # tokens that attention reaches back
UNKNOWN = " "

#: How many tokens back the heads look, and how sharply: the first layers at the last tokens, the
#: later ones wider.
LOOKS = [([1, 2, 3, 4], 4.0), ([1, 2, 4, 8], 2.0), ([1, 4, 8, 16], 0.5)]
LOOK_OF_LAYER = [0, 0, 1, 1, 1, 2, 2, 2]


def place_bias():
    """Return what is added to the attention for each distance: look, distance, head. The last entry
    is for what is not there yet.
    """
    distance = np.arange(WINDOW + 1)[:, None]
    biases = [-sharpness * np.abs(distance - np.array(reach)) for reach, sharpness in LOOKS]
    return np.where(distance == WINDOW, -np.inf, biases)


BIAS = place_bias()


class Cache:
    """The last keys and values of the live sequences, each in a ring. Each sequence has a row; the
    first ``count`` rows are in use.
    """

    def __init__(self, rows):
        self.keys = np.zeros((LAYERS, rows, HEADS, WINDOW, HEAD))
        self.values = np.zeros_like(self.keys)
        self.lengths = np.zeros(rows, dtype=int)
        self.count = 0

    def add(self):
        """Take a row for a new sequence and return its number."""
        row = self.count
        self.count += 1
        self.lengths[row] = 0
        return row

    def remove(self, row):
        """Give a row back. The last one takes its place, so that those in use stay together."""
        self.count -= 1
        if row != self.count:
            self.lengths[row] = self.lengths[self.count]
            for stored in (self.keys, self.values):
                stored[:, row] = stored[:, self.count]


class Transformer:
    def __init__(self, text, seed=1):
        self.letters = sorted(set(text))
        self.index = {letter: number for number, letter in enumerate(self.letters)}
        random = np.random.default_rng(seed)
        self.embedding = random.normal(size=(len(self.letters), WIDTH))

        def weights(inputs, outputs):
            return random.normal(size=(LAYERS, inputs, outputs)) / np.sqrt(inputs)

        self.attend = weights(WIDTH, 3 * WIDTH)
        self.project = weights(WIDTH, WIDTH)
        self.widen = weights(WIDTH, 4 * WIDTH)
        self.narrow = weights(4 * WIDTH, WIDTH)
        self.readout = np.zeros(((LAYERS + 1) * WIDTH, len(self.letters)))
        self.train(text)

    def encode(self, text):
        return [self.index.get(letter, self.index[UNKNOWN]) for letter in text]

    def step(self, cache, tokens):
        """One step of every sequence at once: append ``tokens``, one for each row, and return the
        logits of the next ones.
        """
        return self.features(cache, tokens) @ self.readout

    def features(self, cache, tokens):
        rows = np.arange(len(tokens))
        places = cache.lengths[: len(tokens)].copy()
        cache.lengths[: len(tokens)] += 1
        back = (places[:, None] - np.arange(WINDOW)) % WINDOW  # how far back each stored token is
        back[back > places[:, None]] = WINDOW  # not there yet
        biases = [
            np.ascontiguousarray(bias[back].transpose(0, 2, 1)) for bias in BIAS
        ]  # row, head, token
        x = normal(self.embedding[tokens])
        seen = [x]
        for layer in range(LAYERS):
            x = x + self.attention(
                layer, cache, normal(x), rows, places % WINDOW, biases[LOOK_OF_LAYER[layer]]
            )
            x = x + np.maximum(normal(x) @ self.widen[layer], 0) @ self.narrow[layer]
            seen.append(normal(x))
        return np.concatenate(seen, axis=1)

    def attention(self, layer, cache, x, rows, slots, bias):
        made = (x @ self.attend[layer]).reshape(len(rows), 3, HEADS, HEAD)
        cache.keys[layer, rows, :, slots] = made[:, 1]
        cache.values[layer, rows, :, slots] = made[:, 2]
        keys, values = cache.keys[layer, : len(rows)], cache.values[layer, : len(rows)]
        scores = np.matmul(keys, made[:, 0, :, :, None] / np.sqrt(HEAD))[..., 0]
        scores += bias
        scores -= scores.max(axis=-1, keepdims=True)
        weights = np.exp(scores, out=scores)
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed = np.matmul(weights[:, :, None, :], values)
        return mixed.reshape(len(rows), WIDTH) @ self.project[layer]

    def train(self, text, length=64, stride=32, sharpness=12.0, ridge=0.3):
        """Fit the last layer by least squares: the features of each place in the text to the letter
        that follows it.
        """
        encoded = np.array(self.encode(text))
        starts = np.arange(0, len(encoded) - length - 1, stride)
        cache = Cache(len(starts))
        cache.count = len(starts)
        features = np.stack([self.features(cache, encoded[starts + n]) for n in range(length)])[
            length // 4 :
        ]
        wanted = np.stack([encoded[starts + n + 1] for n in range(length)])[length // 4 :]
        features = features.reshape(-1, features.shape[-1])
        wanted = np.eye(len(self.letters))[wanted.ravel()]
        square = features.T @ features + ridge * np.eye(features.shape[1])
        self.readout = sharpness * np.linalg.solve(square, features.T @ wanted)


def normal(x):
    """RMSNorm."""
    return x / np.sqrt(np.einsum("bi,bi->b", x, x)[:, None] / x.shape[1] + 1e-6)


def sample(logits, temperatures, chances):
    """Return the next token of each row; ``chances`` are numbers from 0 to 1, one for each row.
    Temperature 0 takes the likeliest.
    """
    cold = temperatures <= 0
    scaled = logits / np.where(cold, 1.0, temperatures)[:, None]
    weights = np.exp(scaled - scaled.max(axis=1, keepdims=True))
    sums = weights.cumsum(axis=1)
    warm = (sums < chances[:, None] * sums[:, -1:]).sum(axis=1)
    return np.where(cold, logits.argmax(axis=1), warm)
