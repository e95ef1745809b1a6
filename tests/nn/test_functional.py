"""nn.functional against torch.nn.functional in float64: results and every gradient, over one table of cases."""

import math

import numpy as np
import pytest
import torch
from compare import check, numbers, ours_and_theirs

import tensor
from nn import functional as F

x23, x234 = numbers(2, 3), numbers(2, 3, 4)
scores = numbers(5, 7, low=-4, high=4)
classes = np.array([3, 0, 6, 6, 2])
some_ignored = np.array([3, -1, 6, -1, 2])
class_weight = numbers(7, low=0.1, high=2, seed=3).astype("float64")
probabilities = np.random.default_rng(4).dirichlet(np.ones(7), 5)
per_pixel = (numbers(2, 5, 3, 4), np.random.default_rng(5).integers(0, 5, (2, 3, 4)))
wide = numbers(4, 9, low=-8, high=8)
edges = np.array([-3.0, -1.0, 0.0, 1.0, 3.0, 6.0])
q, k, v = numbers(2, 3, 5, 4), numbers(2, 3, 6, 4, seed=1), numbers(2, 3, 6, 7, seed=2)
long_q, long_k, long_v = numbers(1, 2, 300, 8), numbers(1, 2, 300, 8, seed=1), numbers(1, 2, 300, 8, seed=2)
bool_mask = np.random.default_rng(6).random((5, 6)) < 0.6
bool_mask[2] = False  # one query may look nowhere
float_mask = numbers(2, 1, 5, 6, seed=7)

CASES = [
    ("linear", [x23, numbers(4, 3), numbers(4)], {}),
    ("linear", [x23, numbers(4, 3)], {}),
    ("linear", [numbers(3), numbers(4, 3), numbers(4)], {}),
    ("linear", [numbers(2, 5, 4, 3), numbers(6, 3), numbers(6)], {}),
    ("linear", [numbers(4, 2, 3).transpose(1, 0, 2), numbers(3, 6).T, numbers(6)], {}),
    ("linear", [x23, numbers(3)], {}),
    ("linear", [numbers(0, 3), numbers(4, 3), numbers(4)], {}),
    ("embedding", [np.array([[1, 0], [4, 1]]), numbers(5, 3)], {}),
    ("embedding", [np.array(2), numbers(5, 3)], {}),
    ("embedding", [np.zeros((0, 2), "int64"), numbers(5, 3)], {}),
    ("embedding", [np.array([[1, 0], [4, 1]]), numbers(5, 3)], {"padding_idx": 1}),
    ("embedding", [np.array([1, 4], "int32"), numbers(5, 3)], {"padding_idx": -1}),
    ("one_hot", [np.array([[1, 0], [4, 1]])], {}),
    ("one_hot", [np.array([1, 2])], {"num_classes": 5}),
    ("layer_norm", [x234, (4,), numbers(4), numbers(4, seed=1)], {}),
    ("layer_norm", [x234, (4,), numbers(4)], {}),
    ("layer_norm", [x234, (4,)], {}),
    ("layer_norm", [x234, (4,), None, numbers(4)], {}),
    ("layer_norm", [x234, (3, 4), numbers(3, 4), numbers(3, 4, seed=1)], {"eps": 0.1}),
    ("layer_norm", [numbers(4, 3, 2).transpose(2, 1, 0), (4,), numbers(4), numbers(4)], {}),
    ("layer_norm", [numbers(700, 90), (90,), numbers(90), numbers(90, seed=1)], {}),
    ("layer_norm", [numbers(0, 4), (4,), numbers(4), numbers(4)], {}),
    ("rms_norm", [x234, (4,), numbers(4)], {}),
    ("rms_norm", [x234, (3, 4)], {"eps": 0.1}),
    ("gelu", [wide], {}),
    ("gelu", [wide], {"approximate": "tanh"}),
    ("gelu", [numbers(40_000, low=-30, high=30)], {}),
    ("gelu", [numbers(40_000, low=-30, high=30)], {"approximate": "tanh"}),
    ("gelu", [numbers(2, 0)], {}),
    ("gelu", [np.array(0.0)], {}),
    ("softmax", [x234], {"dim": 1}),
    ("log_softmax", [x234], {"dim": -1}),
    ("softmin", [x234], {"dim": 0}),
    ("cross_entropy", [scores, classes], {}),
    ("cross_entropy", [scores, classes], {"reduction": "sum"}),
    ("cross_entropy", [scores, classes], {"reduction": "none"}),
    ("cross_entropy", [scores, some_ignored], {"ignore_index": -1}),
    ("cross_entropy", [scores, some_ignored], {"ignore_index": -1, "reduction": "none"}),
    ("cross_entropy", [scores, classes], {"ignore_index": 6}),
    ("cross_entropy", [scores, np.full(5, -100)], {}),
    ("cross_entropy", [scores, classes], {"label_smoothing": 0.1}),
    ("cross_entropy", [scores, some_ignored], {"ignore_index": -1, "label_smoothing": 0.3}),
    ("cross_entropy", [scores, probabilities], {"label_smoothing": 0.2}),
    ("cross_entropy", [scores, probabilities], {"reduction": "none"}),
    ("cross_entropy", [scores[0], probabilities[0]], {}),
    ("cross_entropy", [scores[0], np.array(3)], {}),
    ("cross_entropy", [*per_pixel], {}),
    ("cross_entropy", [*per_pixel], {"reduction": "none", "label_smoothing": 0.1}),
    ("cross_entropy", [numbers(0, 7), np.zeros(0, "int64")], {"reduction": "sum"}),
    ("cross_entropy", [scores * 300, classes], {}),
    ("nll_loss", [scores, classes], {}),
    ("nll_loss", [scores, some_ignored], {"ignore_index": -1, "reduction": "none"}),
    ("nll_loss", [*per_pixel], {"reduction": "sum"}),
    ("nll_loss", [scores[0], np.array(3)], {}),
    ("scaled_dot_product_attention", [q, k, v], {}),
    ("scaled_dot_product_attention", [q, k, v], {"scale": 0.3}),
    ("scaled_dot_product_attention", [q, k, v], {"is_causal": True}),
    ("scaled_dot_product_attention", [k, q, q], {"is_causal": True}),
    ("scaled_dot_product_attention", [long_q, long_k, long_v], {"is_causal": True}),
    ("scaled_dot_product_attention", [long_q, long_k, long_v], {}),
    ("scaled_dot_product_attention", [q[0], k[0], v[0]], {"is_causal": True}),
    ("scaled_dot_product_attention", [q[0, 0], k[0, 0], v[0, 0]], {}),
    ("scaled_dot_product_attention", [q, k[:, :1], v[:, :1]], {}),
    ("scaled_dot_product_attention", [q, k, v], {"attn_mask": bool_mask}),
    ("scaled_dot_product_attention", [q, k, v], {"attn_mask": float_mask}),
    ("scaled_dot_product_attention", [numbers(2, 6, 5, 4), k, v], {"enable_gqa": True, "is_causal": False}),
    ("scaled_dot_product_attention", [numbers(2, 6, 5, 4), k, v], {"enable_gqa": True, "is_causal": True}),
    ("relu", [edges], {}),
    ("relu6", [wide], {}),
    ("relu6", [edges], {}),
    ("leaky_relu", [wide], {"negative_slope": 0.2}),
    ("elu", [wide], {"alpha": 1.3}),
    ("elu", [edges], {}),
    ("elu", [wide * 1000], {}),
    ("celu", [wide], {"alpha": 2.0}),
    ("selu", [wide], {}),
    ("silu", [wide], {}),
    ("silu", [wide * 200], {}),
    ("mish", [wide], {}),
    ("sigmoid", [wide], {}),
    ("logsigmoid", [wide], {}),
    ("logsigmoid", [wide * 200], {}),
    ("softplus", [wide], {}),
    ("softplus", [wide * 200], {"beta": 2.0, "threshold": 10.0}),
    ("softsign", [wide], {}),
    ("tanh", [wide], {}),
    ("hardtanh", [edges], {}),
    ("hardtanh", [wide], {"min_val": -2.0, "max_val": 3.0}),
    ("hardswish", [wide], {}),
    ("glu", [numbers(3, 8)], {}),
    ("glu", [numbers(4, 3)], {"dim": 0}),
    ("prelu", [wide, np.array([0.25])], {}),
    ("prelu", [numbers(2, 3, 4), numbers(3)], {}),
    ("threshold", [wide], {"threshold": 1.0, "value": 5.0}),
    ("mse_loss", [x23, numbers(2, 3, seed=1)], {}),
    ("mse_loss", [x23, numbers(2, 3, seed=1)], {"reduction": "none"}),
    ("l1_loss", [x23, numbers(2, 3, seed=1)], {"reduction": "sum"}),
    ("smooth_l1_loss", [wide, numbers(4, 9, seed=1)], {"beta": 0.7}),
    ("smooth_l1_loss", [wide, numbers(4, 9, seed=1)], {"beta": 0.0}),
    ("huber_loss", [wide, numbers(4, 9, seed=1)], {"delta": 0.7}),
    ("binary_cross_entropy", [numbers(2, 3, low=0.01, high=0.99), numbers(2, 3, low=0, high=1)], {}),
    ("binary_cross_entropy_with_logits", [wide * 20, numbers(4, 9, low=0, high=1)], {}),
    ("binary_cross_entropy_with_logits", [np.zeros((2, 3)), numbers(2, 3, low=0, high=1)], {"reduction": "none"}),
    ("kl_div", [np.log(probabilities), probabilities[::-1].copy()], {"reduction": "batchmean"}),
    ("kl_div", [np.log(probabilities), probabilities[::-1].copy()], {"reduction": "sum"}),
    ("kl_div", [np.log(probabilities), scores], {"log_target": True, "reduction": "sum"}),
    ("normalize", [x234], {}),
    ("normalize", [x234], {"p": 1.0, "dim": -1}),
    ("cosine_similarity", [x234, numbers(2, 3, 4, seed=1)], {}),
]


def label(value):
    """Test names: the function, and the arguments that make its case."""
    if isinstance(value, dict):
        return ",".join(f"{k}={v if np.ndim(v) == 0 else 'array'}" for k, v in value.items())
    if isinstance(value, list):
        return "x".join(str(getattr(v, "shape", v)).replace(" ", "") for v in value)
    return None


@pytest.mark.parametrize(("name", "inputs", "kwargs"), CASES, ids=label)
@pytest.mark.filterwarnings("ignore::UserWarning")  # torch warns of its own reductions and broadcasts
def test_against_torch(name, inputs, kwargs):
    ours, theirs = ours_and_theirs(f"nn.functional.{name}")
    check(ours, theirs, inputs, kwargs)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("target", [classes, some_ignored, probabilities], ids=["classes", "ignored", "probabilities"])
def test_cross_entropy_with_class_weights(reduction, smoothing, target):
    """Class weights are constants, so they are handed over without gradient."""
    ours, theirs = ours_and_theirs("nn.functional.cross_entropy")
    options = {"reduction": reduction, "label_smoothing": smoothing, "ignore_index": -1}
    check(
        lambda x: ours(x, our(target), weight=our(class_weight), **options),
        lambda x: theirs(x, their(target), weight=their(class_weight), **options),
        [scores],
    )


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_nll_and_binary_losses_with_weights(reduction):
    ours, theirs = ours_and_theirs("nn.functional.nll_loss")
    check(
        lambda x: ours(x, our(classes), weight=our(class_weight), reduction=reduction),
        lambda x: theirs(x, their(classes), weight=their(class_weight), reduction=reduction),
        [scores],
    )
    ours, theirs = ours_and_theirs("nn.functional.binary_cross_entropy_with_logits")
    truth = (scores > 0).astype("float64")
    check(
        lambda x: ours(x, our(truth), our(class_weight), reduction, our(class_weight[::-1])),
        lambda x: theirs(
            x, their(truth), their(class_weight), reduction=reduction, pos_weight=their(class_weight[::-1].copy())
        ),
        [scores],
    )


def our(array):
    return tensor.tensor(array)


def their(array):
    return torch.tensor(array)


def test_float32_is_as_close_as_torch():
    """In float32 the fused forms keep the accuracy of torch's: a few units in the last place."""
    for name, inputs, kwargs in [
        ("gelu", [numbers(1000, low=-6, high=6, dtype="float32")], {}),
        ("gelu", [numbers(1000, low=-6, high=6, dtype="float32")], {"approximate": "tanh"}),
        ("layer_norm", [numbers(8, 32, dtype="float32"), (32,), numbers(32, dtype="float32")], {}),
        ("cross_entropy", [scores.astype("float32"), classes], {}),
        ("scaled_dot_product_attention", [x.astype("float32") for x in (q, k, v)], {"is_causal": True}),
    ]:
        ours, theirs = ours_and_theirs(f"nn.functional.{name}")
        check(ours, theirs, inputs, kwargs, rtol=2e-5, atol=2e-6)


def test_hardsigmoid():
    """torch keeps the slope 1/6 in float32, also for float64."""
    check(*ours_and_theirs("nn.functional.hardsigmoid"), [wide], rtol=1e-6)


def test_gelu_far_out_is_exact():
    x = tensor.tensor([-1e4, -40.0, 40.0, 1e4], requires_grad=True)
    for approximate in ("none", "tanh"):
        y = F.gelu(x, approximate=approximate)
        x.grad = None
        y.sum().backward()
        assert y.tolist() == [0.0, 0.0, 40.0, 1e4]
        assert x.grad.tolist() == [0.0, 0.0, 1.0, 1.0]
    assert math.copysign(1, y[0].item()) == -1  # −0, as torch


def test_in_place_activations():
    for function in (F.relu, F.silu, F.leaky_relu, F.elu):
        x = tensor.tensor([-1.0, 2.0])
        expected = function(x).tolist()
        assert function(x, inplace=True) is x
        assert x.tolist() == expected


def test_one_product_for_all_positions():
    """linear folds (B, T, C) to rows; what it saves of x is the Tensor itself, so a later write to it is noticed."""
    x, w = tensor.ones(2, 3, 4), tensor.ones(5, 4, requires_grad=True)
    y = F.linear(x, w)
    x += 1
    with pytest.raises(RuntimeError, match="backward of Linear needs the value `x`"):
        y.sum().backward()
