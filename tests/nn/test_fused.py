"""Every fused op against its composed form, the definition: same result, same gradients, in float64.

Runs once with each set of kernels, so a wrong derivation and a wrong kernel both show.
"""

import numpy as np
import pytest
from compare import numbers

import tensor
from nn import functional as F
from nn.functional.attention import Attention
from nn.functional.cross_entropy import CrossEntropy
from nn.functional.dropout import Dropout
from tensor.kernels import numpy_kernels

indices = tensor.tensor([[1, 0, 4], [4, 1, 1]])
targets = tensor.tensor([3, 0, 6, 2])
weights = tensor.tensor([1.0, 0.0, 0.5, 2.0], dtype=tensor.float64)
seed = 0x123456789ABCDEF
keep = tensor.tensor(numpy_kernels.dropout(np.ones((3, 4)), 0.3, seed) != 0)
future = tensor.ones(20, 20, dtype=tensor.bool).triu(1)
keep_scores = tensor.tensor(numpy_kernels.dropout(np.ones((2, 2, 20, 20)), 0.3, seed) != 0)

PAIRS = {
    "linear": (F.linear, F.linear_composed, [(2, 5, 3), (4, 3), (4,)]),
    "linear_gelu": (F.linear_gelu, F.linear_gelu_composed, [(2, 5, 3), (4, 3), (4,)]),
    "linear_gelu without bias": (F.linear_gelu, F.linear_gelu_composed, [(2, 5, 3), (4, 3)]),
    "embedding": (lambda w: F.embedding(indices, w), lambda w: F.embedding_composed(indices, w), [(5, 3)]),
    "layer_norm": (
        lambda x, w, b: F.layer_norm(x, (6,), w, b),
        lambda x, w, b: F.layer_norm_composed(x, (6,), w, b),
        [(4, 5, 6), (6,), (6,)],
    ),
    "add_layer_norm": (
        lambda x, branch, w, b: F.add_layer_norm(x, branch, (6,), w, b),
        lambda x, branch, w, b: F.add_layer_norm_composed(x, branch, (6,), w, b),
        [(4, 5, 6), (4, 5, 6), (6,), (6,)],
    ),
    "add_layer_norm over two dims": (
        lambda x, branch: F.add_layer_norm(x, branch, (5, 6)),
        lambda x, branch: F.add_layer_norm_composed(x, branch, (5, 6)),
        [(4, 5, 6), (4, 5, 6)],
    ),
    "the sum of add_layer_norm alone": (
        lambda x, branch, w, b: F.add_layer_norm(x, branch, (6,), w, b)[0],
        lambda x, branch, w, b: x + branch + 0 * w.sum() + 0 * b.sum(),
        [(4, 5, 6), (4, 5, 6), (6,), (6,)],
    ),
    "rms_norm": (
        lambda x, w: F.rms_norm(x, (6,), w, 1e-3),
        lambda x, w: F.rms_norm_composed(x, (6,), w, 1e-3),
        [(4, 5, 6), (6,)],
    ),
    "gelu": (F.gelu, F.gelu_composed, [(7, 5)]),
    "gelu tanh": (
        lambda x: F.gelu(x, approximate="tanh"),
        lambda x: F.gelu_composed(x, approximate="tanh"),
        [(7, 5)],
    ),
    "softmax": (lambda x: F.softmax(x, dim=1), lambda x: F.softmax_composed(x, dim=1), [(2, 3, 4)]),
    "log_softmax": (lambda x: F.log_softmax(x, dim=-1), lambda x: F.log_softmax_composed(x, dim=-1), [(2, 3, 4)]),
    "dropout": (
        lambda x: Dropout.apply(x, p=0.3, seed=seed),
        lambda x: F.dropout_composed(x, keep, p=0.3),
        [(3, 4)],
    ),
    "cross_entropy": (
        lambda x: CrossEntropy.apply(x, target=targets.array, row_weight=weights.array),
        lambda x: F.cross_entropy_composed(x, targets, weights),
        [(4, 7)],
    ),
    "attention": (F.scaled_dot_product_attention, F.attention_composed, [(2, 3, 5, 4), (2, 3, 6, 4), (2, 3, 6, 7)]),
    "attention with dropout": (
        lambda q, k, v: Attention.apply(q, k, v, scale=0.5, causal=True, dropout_p=0.3, seed=seed),
        lambda q, k, v: (
            F.dropout_composed(
                F.softmax((0.5 * q @ k.transpose(-1, -2)).masked_fill(future, -np.inf), -1), keep_scores, 0.3
            )
            @ v
        ),
        [(2, 2, 20, 4), (2, 2, 20, 4), (2, 2, 20, 3)],
    ),
    "causal attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True),
        lambda q, k, v: F.attention_composed(q, k, v, is_causal=True),
        [(2, 2, 200, 4), (2, 2, 200, 4), (2, 2, 200, 3)],
    ),
}


@pytest.mark.parametrize("name", PAIRS)
def test_fused_equals_composed(name, kernels):
    fused, composed, shapes = PAIRS[name]
    results = []
    for function in (fused, composed):
        inputs = [tensor.tensor(numbers(*s, seed=i)).requires_grad_() for i, s in enumerate(shapes)]
        ys = function(*inputs)
        ys = ys if isinstance(ys, tuple) else (ys,)
        dys = [tensor.tensor(numbers(*y.shape, seed=9 + i)) for i, y in enumerate(ys)]
        sum((y * dy).sum() for y, dy in zip(ys, dys, strict=True)).backward()
        results.append([*[y.detach() for y in ys], *[x.grad for x in inputs]])
    for ours, definition in zip(*results, strict=True):
        np.testing.assert_allclose(ours.numpy(force=True), definition.numpy(force=True), rtol=1e-10, atol=1e-12)


def test_fused_ops_are_used():
    """The public functions take the fused path: their graph is one op."""
    x = tensor.ones(2, 3, requires_grad=True)
    q = tensor.ones(1, 2, 3, 4, requires_grad=True)
    assert F.linear(x, tensor.ones(4, 3)).grad_fn.name == "Linear"
    assert F.layer_norm(x, (3,)).grad_fn.name == "LayerNorm"
    assert F.rms_norm(x, (3,)).grad_fn.name == "RMSNorm"
    assert F.dropout(x, 0.5).grad_fn.name == "Dropout"
    assert F.gelu(x).grad_fn.name == "GeluErf"
    assert F.gelu(x, "tanh").grad_fn.name == "GeluTanh"
    assert F.linear_gelu(x, tensor.ones(4, 3)).grad_fn.name == "LinearGelu"
    assert F.add_layer_norm(x, x, (3,))[0].grad_fn.name == "AddLayerNorm"
    assert F.embedding(tensor.tensor([0]), x).grad_fn.name == "Embedding"
    assert F.scaled_dot_product_attention(q, q, q).grad_fn.name == "Attention"
    assert F.scaled_dot_product_attention(q, q, q, dropout_p=0.5).grad_fn.name == "Attention"
    assert F.cross_entropy(x, tensor.tensor([0, 1]), reduction="none").grad_fn.name in ("CrossEntropy", "Reshape")
