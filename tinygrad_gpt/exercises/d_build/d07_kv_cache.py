"""Keep what was computed: a cache for keys and values.

While a GPT writes, the keys and values of all former tokens stay what they were. With a cache only the new token
goes through the model, and its query looks at all keys so far. The first call brings a whole prompt, so several new
positions may come at once.
"""

import numpy as np

import tensor
from nn import functional as F
from tinygrad_gpt.exercises.parts import Mistake, Read, Wrong, expect


class KVCache:
    """The keys and values of all positions so far, of one attention layer: `k` and `v`, (B, nh, T, hs), or None."""

    def __init__(self):  # given
        """Empty: nothing was seen yet."""
        self.k = None
        self.v = None

    def attend(self, q, k, v):
        """For q, k and v of n new positions, (B, nh, n, hs): what attention gives at these, (B, nh, n, hs).

        Append k and v to the cache (dim 2), then: out = softmax(q Kᵀ / √hs, masked) V, where K and V are all keys and
        values so far. If the cache held P positions before, new position i is position P + i of the whole
        sequence: it may look at positions 0 … P + i.
        """
        before = 0 if self.k is None else self.k.shape[2]
        self.k = k if self.k is None else tensor.cat((self.k, k), dim=2)  # (B, nh, T, hs)
        self.v = v if self.v is None else tensor.cat((self.v, v), dim=2)
        mine = before + tensor.arange(q.shape[2])[:, None]  # (n, 1) the places of the new positions
        future = tensor.arange(self.k.shape[2]) > mine  # (n, T)
        scores = (q @ self.k.mT * q.shape[3] ** -0.5).masked_fill(future, -tensor.inf)  # (B, nh, n, T)
        return scores.softmax(-1) @ self.v  # (B, nh, n, hs)


HINTS = [
    "Two parts: first append (tensor.cat along dim 2, but the first time there is nothing to append to), then attend "
    "as in exercise A13, with the whole cache as keys and values.",
    "The mask is no longer square: a row for each of the n new positions, a column for each of the T in the cache.",
    "Row i stands for position P + i, with P the length of the cache before this call. So column s is in the future "
    "where s > P + i: compare an arange of T with a column that begins at P.",
]
READ = [
    Read("tinygrad_gpt/model.py", "GPT.generate", "the loop that a cache makes cheaper"),
    Read("nn/functional/attention.py", "scaled_dot_product_attention", "is_causal: the square mask of training"),
]
MISTAKES = [
    Mistake(
        "before + tensor.arange",
        "tensor.arange",
        "The mask forgets what was in the cache before: new position i is position P + i.",
    ),
    Mistake(".masked_fill(future, -tensor.inf)", "", "There is no mask: positions of the prompt look into the future."),
    Mistake(
        "tensor.cat((self.v, v), dim=2)",
        "v",
        "The values of earlier positions are gone: append to them, as to the keys.",
    ),
    Mistake(
        "tensor.cat((self.k, k), dim=2)",
        "tensor.cat((k, self.k), dim=2)",
        "New keys were put in front: positions come in their order.",
    ),
]


def check(student, draw):
    for B, nh, hs, prompt, more in ((1, 1, 2, 1, 1), (1, 1, 2, 3, 0), (1, 2, 3, 2, 3), (2, 3, 4, 5, 4)):
        T = prompt + more
        q, k, v = (draw.floats(B, nh, T, hs) for _ in range(3))
        expected = F.scaled_dot_product_attention(q, k, v, is_causal=True).array  # all positions at once
        cache = student.KVCache()
        pieces = [(0, prompt), *((t, t + 1) for t in range(prompt, T))]
        for start, end in pieces:
            got = cache.attend(q[:, :, start:end], k[:, :, start:end], v[:, :, start:end])
            place = "inside the prompt" if start == 0 else f"after the prompt, at position {start}"
            shown = {
                "B, nh, hs": (B, nh, hs),
                "calls so far (first position, end)": pieces[: pieces.index((start, end)) + 1],
            }
            expect(f"the output {place}", expected[:, :, start:end], got, inputs=shown)
        if cache.k is None or cache.k.shape[2] != T:
            held = "nothing" if cache.k is None else f"{cache.k.shape[2]} positions"
            raise Wrong(f"The cache should hold the keys of all {T} positions, but holds {held}.")
        if not np.array_equal(cache.k.array, k.array) or not np.array_equal(cache.v.array, v.array):
            raise Wrong("The cache should hold the keys and values as they were given, in their order.")
    return "The same numbers as attention over everything at once, one token at a time."
