"""Scaled dot-product attention: every query looks at the keys and takes the mean of their values, weighted by likeness.

    q (..., T, D)    k (..., S, D)    v (..., S, E)    y (..., T, E)

    s = scale q kᵀ + mask    (..., T, S) scores; scale = 1/√D keeps their variance that of one product
    p = softmax(s)           (..., T, S) one probability distribution over the keys for each query
    y = p v                  (..., T, E)

Vaswani et al. 2017, arXiv:1706.03762. Causal attention lets the query at t see the keys at s ≤ t only.
"""

from __future__ import annotations

import math

import tensor
from nn.functional.dropout import draw_seed, dropout
from nn.functional.softmax import softmax
from tensor import Op, Tensor
from tensor.checks import broadcast_shape, require_tensor, shape_text
from tensor.kernels import kernels
from tensor.ops.autocast import in_low_precision


def attention_composed(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
) -> Tensor:
    """The definition, from primitive operations; what a mask needs takes this path."""
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    s = (query * scale) @ key.transpose(-1, -2)  # (..., T, S)
    if is_causal:
        T, S = s.shape[-2:]
        attn_mask = tensor.ones(T, S, dtype=tensor.bool, device=s.device).tril()
    if attn_mask is not None:
        s = s.masked_fill(attn_mask.logical_not(), -math.inf) if attn_mask.dtype == tensor.bool else s + attn_mask
    p = softmax(s, dim=-1)
    if attn_mask is not None and attn_mask.dtype == tensor.bool:
        p = p.masked_fill(p.isnan(), 0.0)  # a query that may see no key at all takes nothing
    return dropout(p, dropout_p) @ value


class Attention(Op):
    """y = p v with p = softmax(scale q kᵀ), without or with the causal mask.

    Three steps back, each a derivative that stands elsewhere on its own:

        y = p v            dv = pᵀ dy,  dp = dy vᵀ                       (matmul)
        p = softmax(s)     ds = p ⊙ (dp − Σ_s dp ⊙ p)                    (softmax)
        s = scale q kᵀ     dq = scale ds k,  dk = scale dsᵀ q            (matmul)

    A masked score has p = 0, and so ds = 0: the mask needs no step of its own. Two turns save the T × S
    matrices from being kept. p is computed again from q, k and one number for each row, the logarithm of its softmax
    denominator: p = exp(s − log_sum). And the sum over the keys needs neither p nor dp:

        Σ_s dp_ts p_ts = Σ_s (Σ_e dy_te v_se) p_ts = Σ_e dy_te (Σ_s p_ts v_se) = Σ_e dy_te y_te.

    (Dao et al. 2022, arXiv:2205.14135.)

    With dropout, y = p̃ v with p̃ = p ⊙ keep / (1 − dropout_p), so dv = p̃ᵀ dy and dp = (dy vᵀ) ⊙ keep / (1 − dropout_p);
    the rest stays, the sum over the keys as well. keep is a function of `seed`, and made again like p.
    """

    vjp = "dv = pᵀ dy;  ds = p ⊙ (dy vᵀ − Σ dy ⊙ y);  dq = scale ds k;  dk = scale dsᵀ q"

    def forward(self, q, k, v, *, scale, causal, dropout_p=0.0, seed=0):
        self.q, self.k, self.v, self.settings = q, k, v, (scale, causal, dropout_p, seed)
        self.y, self.log_sum = kernels(q).attention(q, k, v, *self.settings)
        return self.y

    def backward(self, dy):
        return kernels(dy).attention_backward(dy, self.q, self.k, self.v, self.y, self.log_sum, *self.settings)


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """softmax(scale q kᵀ + mask) v for query (..., T, D), key (..., S, D), value (..., S, E); returns (..., T, E).

    Args:
        attn_mask: broadcasts to (..., T, S); bool: True where a query may look; floating: added to the scores.
        dropout_p: the probability that a weight is dropped. It holds whenever it is not 0: pass 0 in evaluation.
        is_causal: the query at t sees the keys at s ≤ t only; not together with attn_mask.
        scale: 1/√D if None.
        enable_gqa: key and value may have fewer heads (third dim from the end) than query; each then serves several
            (grouped-query attention).
    """
    name = "scaled_dot_product_attention"
    if attn_mask is not None and is_causal:
        raise RuntimeError(f"{name}: pass attn_mask or is_causal=True, not both")
    if not 0 <= dropout_p <= 1:
        raise ValueError(f"{name}: dropout_p is a probability, from 0 to 1, got {dropout_p}")
    query, key, value = in_low_precision(*[require_tensor(name, x) for x in (query, key, value)])
    _check(name, query.array, key.array, value.array)
    if enable_gqa:
        key, value = _repeat_heads(name, query, key), _repeat_heads(name, query, value)
    q, k, v = query.array, key.array, value.array
    alike = q.ndim == 4 and q.shape[:2] == k.shape[:2] == v.shape[:2]
    if attn_mask is None and dropout_p < 1 and alike and q.size and k.size and v.size:
        scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
        settings = {"scale": float(scale), "causal": bool(is_causal), "dropout_p": float(dropout_p)}
        return Attention.apply(query, key, value, **settings, seed=draw_seed() if dropout_p else 0)
    return attention_composed(query, key, value, attn_mask, dropout_p, is_causal, scale)


def _check(name: str, q, k, v) -> None:
    """RuntimeError unless the shapes and the dtypes of these arrays fit."""
    if min(q.ndim, k.ndim, v.ndim) < 2:
        raise RuntimeError(f"{_listed(name, q, k, v)}: each needs at least 2 dims, (positions, channels)")
    if q.shape[-1] != k.shape[-1]:
        raise RuntimeError(
            f"{_listed(name, q, k, v)}: query and key must have the same last dim, they are multiplied along it"
        )
    if k.shape[-2] != v.shape[-2]:
        raise RuntimeError(
            f"{_listed(name, q, k, v)}: key and value must have the same second-last dim, one value for each key"
        )
    if not q.dtype == k.dtype == v.dtype:
        raise RuntimeError(
            f"{name}: query is {q.dtype}, key {k.dtype}, value {v.dtype}: bring them to one dtype with .to()"
        )
    if q.ndim == k.ndim and not q.shape[:-3] == k.shape[:-3] == v.shape[:-3]:
        broadcast_shape(f"{name} (batch dims)", q.shape[:-3], k.shape[:-3], v.shape[:-3])


def _listed(name: str, q, k, v) -> str:
    return f"{name}: query {shape_text(q.shape)}, key {shape_text(k.shape)}, value {shape_text(v.shape)}"


def _repeat_heads(name: str, query: Tensor, x: Tensor) -> Tensor:
    heads, own = query.shape[-3], x.shape[-3]
    if heads % own:
        raise RuntimeError(f"{name}: {heads} query heads cannot share {own} key or value heads: it must be a multiple")
    return x if heads == own else x.repeat_interleave(heads // own, dim=-3)
