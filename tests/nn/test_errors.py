"""What nn.functional says when it is called wrongly: the function, what was got, what would fit."""

import pytest

import tensor
from nn import functional as F

x23 = tensor.ones(2, 3)
integers = tensor.tensor([[0, 1], [2, 3]])
q = tensor.ones(1, 2, 5, 4)

CASES = [
    (
        lambda: F.linear(x23, tensor.ones(4, 5)),
        RuntimeError,
        "linear: input (2, 3) and weight (4, 5) do not fit: the weight is (out, in), "
        "and the last dim of the input must be its `in`",
    ),
    (
        lambda: F.linear(x23, tensor.ones(4, 3), tensor.ones(3)),
        RuntimeError,
        "linear: bias (3,) does not fit weight (4, 3): expected (4,)",
    ),
    (
        lambda: F.linear(x23, tensor.ones(4, 3, dtype=tensor.float64)),
        RuntimeError,
        "linear: input is float32 and weight is float64: convert one with .to()",
    ),
    (
        lambda: F.linear_gelu(x23, tensor.ones(4, 5)),
        RuntimeError,
        "linear_gelu: input (2, 3) and weight (4, 5) do not fit: the weight is (out, in), "
        "and the last dim of the input must be its `in`",
    ),
    (
        lambda: F.add_layer_norm(x23, x23, (2,)),
        RuntimeError,
        "add_layer_norm: the input (2, 3) must end in normalized_shape (2,)",
    ),
    (
        lambda: F.embedding(integers, tensor.ones(3, 2)),
        IndexError,
        "embedding: indices go from 0 to 3, and must lie in 0 … 2",
    ),
    (
        lambda: F.embedding(x23, tensor.ones(3, 2)),
        IndexError,
        "embedding: input must hold integers (int64), got float32; convert it with .long()",
    ),
    (
        lambda: F.embedding(integers, tensor.ones(4, 2), padding_idx=4),
        IndexError,
        "embedding: padding_idx 4 is out of range for 4 rows",
    ),
    (lambda: F.one_hot(integers, 3), IndexError, "one_hot: indices go from 0 to 3, and must lie in 0 … 2"),
    (
        lambda: F.layer_norm(x23, (2,)),
        RuntimeError,
        "layer_norm: the input (2, 3) must end in normalized_shape (2,)",
    ),
    (
        lambda: F.layer_norm(x23, (3,), tensor.ones(2)),
        RuntimeError,
        "layer_norm: weight has shape (2,), expected normalized_shape (3,)",
    ),
    (
        lambda: F.layer_norm(integers, (2,)),
        RuntimeError,
        "layer_norm: expected a floating-point Tensor, got int64: call .float() first",
    ),
    (lambda: F.gelu(x23, "exact"), RuntimeError, "gelu: approximate must be 'none' or 'tanh', got 'exact'"),
    (
        lambda: F.softmax(x23),
        TypeError,
        "softmax: pass dim, the dimension to normalise over (dim=-1 for the last); input is (2, 3)",
    ),
    (lambda: F.dropout(x23, 1.5), ValueError, "dropout: p is a probability, from 0 to 1, got 1.5"),
    (
        lambda: F.cross_entropy(x23, tensor.tensor([0, 3])),
        IndexError,
        "cross_entropy: target 3 is no class: with 3 classes it must lie in 0 … 2",
    ),
    (
        lambda: F.cross_entropy(x23, tensor.tensor([0, -2])),
        IndexError,
        "cross_entropy: target -2 is no class: with 3 classes it must lie in 0 … 2",
    ),
    (
        lambda: F.cross_entropy(x23, tensor.tensor([0, 1, 2])),
        RuntimeError,
        "cross_entropy: input (2, 3) and target (3,) do not fit: with classes in dim 1 of the input, "
        "the target must have the shape (2,)",
    ),
    (
        lambda: F.cross_entropy(x23, tensor.tensor([0, 1]), weight=tensor.ones(2)),
        RuntimeError,
        "cross_entropy: weight has shape (2,), expected one number for each class, (3,)",
    ),
    (
        lambda: F.cross_entropy(x23, tensor.tensor([0, 1]), weight=tensor.ones(3, requires_grad=True)),
        RuntimeError,
        "cross_entropy: weight is a constant here and gets no gradient: pass weight.detach()",
    ),
    (
        lambda: F.cross_entropy(x23, tensor.tensor([0, 1]), reduction="avg"),
        ValueError,
        "cross_entropy: reduction must be 'none', 'mean' or 'sum', got 'avg'",
    ),
    (
        lambda: F.cross_entropy(x23, tensor.tensor([0, 1]), label_smoothing=2.0),
        ValueError,
        "cross_entropy: label_smoothing must lie between 0 and 1, got 2.0",
    ),
    (
        lambda: F.mse_loss(x23, tensor.ones(3)),
        RuntimeError,
        "mse_loss: input (2, 3) and target (3,) must have the same shape; "
        "if the broadcast is meant, write it out with target.expand_as(input)",
    ),
    (
        lambda: F.binary_cross_entropy(2 * x23, x23),
        RuntimeError,
        "binary_cross_entropy: the input must be probabilities, from 0 to 1: scores go to the _with_logits form",
    ),
    (
        lambda: F.scaled_dot_product_attention(q, tensor.ones(1, 2, 5, 3), q),
        RuntimeError,
        "scaled_dot_product_attention: query (1, 2, 5, 4), key (1, 2, 5, 3), value (1, 2, 5, 4): "
        "query and key must have the same last dim, they are multiplied along it",
    ),
    (
        lambda: F.scaled_dot_product_attention(q, q, tensor.ones(1, 2, 6, 4)),
        RuntimeError,
        "scaled_dot_product_attention: query (1, 2, 5, 4), key (1, 2, 5, 4), value (1, 2, 6, 4): "
        "key and value must have the same second-last dim, one value for each key",
    ),
    (
        lambda: F.scaled_dot_product_attention(q, q, q, attn_mask=tensor.ones(5, 5), is_causal=True),
        RuntimeError,
        "scaled_dot_product_attention: pass attn_mask or is_causal=True, not both",
    ),
    (
        lambda: F.scaled_dot_product_attention(tensor.ones(1, 3, 5, 4), q, q, enable_gqa=True),
        RuntimeError,
        "scaled_dot_product_attention: 3 query heads cannot share 2 key or value heads: it must be a multiple",
    ),
    (
        lambda: F.glu(x23),
        RuntimeError,
        "glu: the input (2, 3) must have an even length along dim -1, it is halved there",
    ),
    (lambda: F.hardtanh(x23, 1, -1), ValueError, "hardtanh: min_val (1) must not be above max_val (-1)"),
    (lambda: F.huber_loss(x23, x23, delta=0), ValueError, "huber_loss: delta must be above 0, got 0"),
    (lambda: F.smooth_l1_loss(x23, x23, beta=-1), ValueError, "smooth_l1_loss: beta must be 0 or more, got -1"),
]


@pytest.mark.parametrize(("call", "error", "text"), CASES, ids=[text.partition(":")[0] for _, _, text in CASES])
def test_text(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value) == text
