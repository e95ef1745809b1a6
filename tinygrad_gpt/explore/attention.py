"""Who looks at whom, and who learns from it: every head's attention, and the gradient that keys and values receive.

For the loss of one target, the prediction made at position t, backward gives every key and value of positions s ≤ t in
each head a gradient. Its norm says how much that position would change to make the prediction better.
"""

import contextlib
from collections.abc import Iterator

import numpy as np

import tensor
from nn import functional as F
from nn.functional.attention import Attention
from tensor.modes import state
from tinygrad_gpt.explore.collect import decode, encode
from tinygrad_gpt.model import GPT


class Watch:
    """While the block runs: of each `Attention` that is computed its p, and of the last backward its dk and dv."""

    def __init__(self) -> None:
        self.calls: list[Attention] = []
        self.p: list[np.ndarray] = []  # (B, nh, T, T) of each
        self.grads: dict[Attention, tuple] = {}  # (dq, dk, dv), each (B, nh, T, hs)

    def __enter__(self) -> "Watch":
        self._before, state.recorder = state.recorder, self
        return self

    def __exit__(self, *exception) -> None:
        state.recorder = self._before

    @contextlib.contextmanager
    def module(self, module) -> Iterator[None]:
        yield

    def forward(self, op, /, *arrays, **params):
        if isinstance(op, Attention):
            self.calls.append(op)
            self.p.append(weights(*arrays[:2], params["scale"], params["causal"]))
        return op.forward(*arrays, **params)

    def backward(self, op, *dys):
        grads = op.backward(*dys)
        if isinstance(op, Attention):
            self.grads[op] = grads
        return grads


def weights(q: np.ndarray, k: np.ndarray, scale: float, causal: bool) -> np.ndarray:
    """p = softmax(scale q kᵀ), (..., T, S), of queries (..., T, D) and keys (..., S, D)."""
    s = scale * q @ k.swapaxes(-2, -1)
    if causal:
        s = np.where(np.tril(np.ones(s.shape[-2:], bool)), s, -np.inf)
    e = np.exp(s - s.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attention_flow(model: GPT, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Attention and gradient flow over `tokens` (T + 1,).

    Returns p (layers, nh, T, T), the norms of dk and dv for the loss of each target t, (layers, nh, T targets, T
    positions) each, and the losses (T,). The model is left as it was.
    """
    T = len(tokens) - 1
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    model.requires_grad_(False)
    model.transformer.wpe.weight.requires_grad_()  # one leaf at the bottom keeps the graph; no other gradient is needed
    try:
        with Watch() as watch:
            logits, _ = model(tensor.from_numpy(tokens[None, :-1]), tensor.from_numpy(tokens[None, 1:]))
            losses = F.cross_entropy(logits[0], tensor.from_numpy(tokens[1:]), reduction="none")  # (T,)
            layers, nh = len(watch.calls), watch.p[0].shape[1]
            dk, dv = np.zeros((2, layers, nh, T, T), np.float32)
            for t in range(T):
                losses[t].backward(retain_graph=True)
                for layer, call in enumerate(watch.calls):
                    _, dk_t, dv_t = watch.grads[call]
                    dk[layer, :, t] = np.linalg.norm(dk_t[0], axis=-1)  # (nh, T)
                    dv[layer, :, t] = np.linalg.norm(dv_t[0], axis=-1)
    finally:
        model.requires_grad_(False)
        for parameter in learned:
            parameter.requires_grad_()
        model.zero_grad()
    return np.concatenate(watch.p).astype(np.float32), dk, dv, losses.detach().numpy()


def attention_data(model: GPT, tokens: np.ndarray, words: list[str]) -> dict:
    """The same for the page; `words` are the tokens (T + 1,) as text."""
    p, dk, dv, losses = attention_flow(model, tokens)
    return {
        "words": words[:-1],
        "targets": words[1:],
        "layers": p.shape[0],
        "heads": p.shape[1],
        "losses": losses.tolist(),
        "p": encode_maps(p),
        "dk": encode_maps(dk),
        "dv": encode_maps(dv),
    }


def encode_maps(x: np.ndarray) -> str:
    """(layers, nh, T, T) without what lies right of the diagonal: there is no looking ahead, so that is 0."""
    return encode(x[:, :, *np.tril_indices(x.shape[-1])])


def decode_maps(text: str, layers: int, heads: int, T: int) -> np.ndarray:
    """What `encode_maps` wrote, (layers, heads, T, T)."""
    x = np.zeros((layers, heads, T, T), np.float32)
    x[:, :, *np.tril_indices(T)] = decode(text).reshape(layers, heads, -1)
    return x
