"""From scores to a token: how `GPT.generate` chooses what comes next."""

import math
from dataclasses import dataclass

import tensor
from nn import functional as F
from tensor import Tensor


@dataclass(frozen=True)
class Decoding:
    """How to choose the next token; `GPT.generate` explains each setting. Raises ValueError for what makes no sense."""

    temperature: float = 1.0
    top_k: int | None = None
    top_p: float | None = None
    repetition_penalty: float = 1.0

    def __post_init__(self):
        if not 0.0 <= self.temperature < math.inf:
            raise ValueError(f"temperature must be 0 or more, got {self.temperature}")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {self.top_k}")
        if self.top_p is not None and not 0.0 < self.top_p <= 1.0:
            raise ValueError(f"top_p must be in (0, 1], got {self.top_p}")
        if not 0.0 < self.repetition_penalty < math.inf:
            raise ValueError(f"repetition_penalty must be above 0, got {self.repetition_penalty}")

    def choose(self, logits: Tensor, context: Tensor) -> Tensor:
        """The next token of each sequence, int64 (B,), from its logits (B, V) and its tokens so far (B, T)."""
        if self.repetition_penalty != 1.0:
            logits = penalize_repetition(logits, context, self.repetition_penalty)
        if self.temperature == 0:
            return logits.argmax(dim=-1)
        logits = keep_likeliest(logits / self.temperature, self.top_k, self.top_p)
        return draw(F.softmax(logits, dim=-1))


def penalize_repetition(logits: Tensor, context: Tensor, penalty: float) -> Tensor:
    """Logits (B, V) in which each token of the context (B, T) is `penalty` times less likely to be chosen.

    A positive logit is divided by the penalty and a negative one multiplied, once, however often the token stands
    there (Keskar et al. 2019, arXiv:1909.05858).
    """
    seen = logits.gather(1, context)  # (B, T)
    return logits.scatter(1, context, tensor.where(seen > 0, seen / penalty, seen * penalty))


def keep_likeliest(logits: Tensor, top_k: int | None, top_p: float | None) -> Tensor:
    """Logits (B, V) with -inf wherever a token is outside of the top_k, or of the top_p nucleus of these."""
    V = logits.shape[-1]
    if top_p is None and (top_k is None or top_k >= V):
        return logits
    likeliest, tokens = tensor.topk(logits, V if top_k is None else min(top_k, V))  # (B, k), the likeliest first
    if top_p is not None:
        p = F.softmax(likeliest, dim=-1)  # (B, k)
        # The probability of everything likelier: 0 for the likeliest token, so that it always stays.
        before = p.cumsum(dim=-1) - p
        likeliest = likeliest.masked_fill(before >= top_p, -math.inf)
    return tensor.full_like(logits, -math.inf).scatter(1, tokens, likeliest)  # (B, V)


def draw(p: Tensor) -> Tensor:
    """One token of each row of probabilities (B, V), drawn; int64 (B,).

    Every token has a clock that rings after a random time: E / p with E = -ln u, exponentially distributed. The one
    that rings first is token i with probability p_i. Looking a random height up in the running sum of p would do
    too; but there a last bit of one p moves all the borders after it, and with V of them one is soon in the way.
    Here it changes the token only if that very clock was about to ring at the same time as the first.
    """
    u = tensor.rand(p.shape, dtype=tensor.float64, device=p.device)  # 53 bits: float32's 24 would show in rare tokens
    return (p / -u.log()).argmax(dim=-1)
